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

// Missing returns the statement that would allow the request, ready to paste into the policy of the template.
func (d *Denial) Missing() string {
	principal := ""
	if service := d.Request.Principal.Service; service != "" {
		principal = fmt.Sprintf(`"Principal":{"Service":%q},`, service)
	}
	return fmt.Sprintf(`{"Effect":"Allow",%s"Action":%q,"Resource":%s}`, principal, d.Request.Action, d.nameOf(d.Request.Resource))
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
