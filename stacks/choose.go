package stacks

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Choose returns the environments that the app's context asks for: the one named by name, or all of them when name is
// empty. pins is the context's "environments", an object of Pins by environment, or nil:
//
//	"context": {"environments": {"prod": {"account": "111122223333", "region": "eu-central-1"}}}
//
// An unknown environment or setting, in either, is an error that lists the known ones. Pins of environments that are not
// chosen are checked too.
func Choose(name string, pins any) ([]Environment, error) {
	all := []Environment{Dev(), Staging(), Prod()}
	if err := pin(all, pins); err != nil {
		return nil, err
	}
	if name == "" {
		return all, nil
	}
	at, err := find(all, name)
	if err != nil {
		return nil, err
	}
	return all[at : at+1], nil
}

// pin sets the environments' Pins from the context. Its error holds all problems.
func pin(all []Environment, pins any) error {
	if pins == nil {
		return nil
	}
	byName, ok := pins.(map[string]any)
	if !ok {
		return fmt.Errorf(`context "environments" must be an object of environments, got %v`, pins)
	}
	var problems []error
	for name, settings := range byName {
		at, err := find(all, name)
		if err == nil {
			err = all[at].set(settings)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf(`context "environments": %w`, err))
		}
	}
	return errors.Join(problems...)
}

// set takes the Pin from the context's value for the environment.
func (e *Environment) set(settings any) error {
	raw, err := json.Marshal(settings)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	dec := json.NewDecoder(strings.NewReader(string(raw)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&e.Pin); err != nil {
		return fmt.Errorf("%s must be an object with account, region, alarmEmail and alarmTopicArn, all of them strings: %w", e.Name, err)
	}
	if e.AlarmEmail != "" && e.AlarmTopicARN != "" {
		return fmt.Errorf("%s must have alarmEmail or alarmTopicArn, got both", e.Name)
	}
	return nil
}

func find(all []Environment, name string) (int, error) {
	at := slices.IndexFunc(all, func(e Environment) bool { return e.Name == name })
	if at < 0 {
		var known []string
		for _, e := range all {
			known = append(known, e.Name)
		}
		return 0, fmt.Errorf("an environment must be one of %s, got %q", strings.Join(known, ", "), name)
	}
	return at, nil
}
