package access

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/iam"
)

// A Denial is a request that is not allowed. Its text is AWS's.
type Denial struct {
	Request  iam.Request
	Decision iam.Decision

	who    string // logical id of the role, or the service
	nameOf func(arn string) string
}

// Error returns the text of AWS's AccessDeniedException.
// Source: IAM user guide, troubleshoot_access-denied, "Access denied error message examples".
func (d *Denial) Error() string { return d.text(d.Request.Action) }

func (d *Denial) text(action string) string {
	who := d.Request.Principal.Session
	if who == "" {
		who = d.Request.Principal.Service
	}
	if d.Request.Principal.Anonymous {
		who = "anonymous"
	}
	text := fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", who, action, d.Request.Resource)
	if d.Decision.Statement != nil {
		return fmt.Sprintf("%s with an explicit deny in %s %s", text, article(d.Decision.Type), d.Decision.Type)
	}
	return fmt.Sprintf("%s because no %s allows the %s action", text, d.Decision.Type, action)
}

func article(word string) string {
	if strings.ContainsRune("aeiou", rune(word[0])) {
		return "an"
	}
	return "a"
}

// explain returns the denial for the developer, with the statement that is missing or that denies.
func (d *Denial) explain() string {
	text := fmt.Sprintf("%s may not %s on %s%s: ", d.who, d.Request.Action, d.Request.Resource, d.context())
	if s := d.Decision.Statement; s != nil {
		return text + fmt.Sprintf("%s of %s %s denies it: %s", s.Sid, article(d.Decision.Type), d.Decision.Type, s.Source)
	}
	return text + fmt.Sprintf("no %s allows it; missing is %s", d.Decision.Type, d.Missing())
}

// kind returns what denials have in common that one change of the template ends: keys of items, for example, differ.
func (d *Denial) kind() string {
	kind := []string{d.who, d.Request.Action, d.Request.Resource, d.Decision.Type}
	if s := d.Decision.Statement; s != nil {
		kind = append(kind, s.Sid, s.Source)
	}
	return strings.Join(kind, "\n")
}

// Missing returns what would allow the request, ready to paste into the template: a statement for a policy, or the
// permission of a function for a service or for everybody. A service is let in on behalf of one resource only, because a queue that is open
// to a service is open to everybody who uses that service.
// Source: IAM user guide, confused-deputy, "Cross-service confused deputy prevention".
func (d *Denial) Missing() string {
	action, on := d.Request.Action, d.nameOf(d.Request.Resource)
	service := d.Request.Principal.Service
	if d.Request.Principal.Anonymous {
		return missingURLPermission(action, on)
	}
	if service == "" {
		return fmt.Sprintf(`{"Effect":"Allow","Action":%q,"Resource":%s}`, action, on)
	}
	source := d.nameOf(strings.Join(d.Request.Context["aws:sourcearn"], ""))
	if action == invokeFunction {
		return fmt.Sprintf(`{"Type":"AWS::Lambda::Permission","Properties":{"Action":%q,"FunctionName":%s,"Principal":%q,"SourceArn":%s}}`,
			action, on, service, source)
	}
	return fmt.Sprintf(`{"Effect":"Allow","Principal":{"Service":%q},"Action":%q,"Resource":%s,"Condition":{"ArnEquals":{"aws:SourceArn":%s}}}`,
		service, action, on, source)
}

// context returns the keys of the request that a statement's conditions may be about, without those that every request
// has.
func (d *Denial) context() string {
	var keys []string
	for _, key := range slices.Sorted(maps.Keys(d.Request.Context)) {
		if !strings.HasPrefix(key, "aws:") || key == "aws:sourcearn" {
			keys = append(keys, fmt.Sprintf("%s %v", key, d.Request.Context[key]))
		}
	}
	if keys == nil {
		return ""
	}
	return " (" + strings.Join(keys, ", ") + ")"
}
