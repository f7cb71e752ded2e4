package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// checkForm returns an error for a template of a form that this package does not read: loops and macros in the place of
// resources or outputs. It leaves every other mistake to the decoder.
func checkForm(raw []byte) error {
	var sections map[string]json.RawMessage
	if json.Unmarshal(raw, &sections) != nil {
		return nil
	}
	var problems []error
	for _, section := range []string{"Mappings", "Conditions", "Resources", "Outputs"} {
		entries, err := members(sections[section])
		if err != nil {
			continue
		}
		for _, entry := range entries {
			if strings.HasPrefix(entry.name, "Fn::") {
				problems = append(problems, fmt.Errorf("%s: %s: %s", section, entry.name, whyUnsupported(entry.name)))
			}
		}
	}
	return errors.Join(problems...)
}
