package template

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// checkForm returns an error for a template of a form that this package does not read: YAML, and loops and macros in
// the place of resources or outputs. It leaves every other mistake to the decoder.
func checkForm(raw []byte) error {
	text := bytes.TrimSpace(raw)
	if len(text) == 0 || text[0] != '{' {
		return errors.New("the template must be JSON, as `cdk synth` writes it: include a YAML template in the CDK app (cloudformation-include) and run `npx cdk synth`")
	}
	var sections map[string]json.RawMessage
	if json.Unmarshal(text, &sections) != nil {
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
