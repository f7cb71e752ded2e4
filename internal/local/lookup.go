package local

import (
	"fmt"
	"slices"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// Function returns the function of a consumer, or that with the ARN, the name, the logical id, the construct path without the
// stack, or the path's last part. Its error lists those that there are.
func (s *Session) Function(name string) (template.Deployed, error) {
	if c, err := s.Consumer(name); err == nil {
		name = c.Function
	}
	return named("function", name, s.resources("AWS::Lambda::Function"))
}

// Table returns the table with that name, in any of the forms that [Session.Function] takes.
func (s *Session) Table(name string) (template.Deployed, error) {
	return named("table", name, append(s.resources("AWS::DynamoDB::Table"), s.resources("AWS::DynamoDB::GlobalTable")...))
}

// named returns the one of some resources that a name stands for.
func named(kind, name string, resources []template.Deployed) (template.Deployed, error) {
	var found []template.Deployed
	var names []string
	for _, r := range resources {
		last := r.Name[strings.LastIndexByte(r.Name, '/')+1:]
		if slices.Contains([]string{r.GetAtt["Arn"], r.Ref, r.LogicalID, r.Name, last}, name) {
			found = append(found, r)
		}
		names = append(names, r.Name)
	}
	switch len(found) {
	case 0:
		return template.Deployed{}, fmt.Errorf("%s must be one of %s, got %q", kind, strings.Join(names, ", "), name)
	case 1:
		return found[0], nil
	default:
		return template.Deployed{}, fmt.Errorf("%s must name one of %s, got %q, which names %d of them", kind, strings.Join(names, ", "), name, len(found))
	}
}

// NameOf returns the readable name of a logical id, an ARN or a Ref of a stack, or the last part of what it does not know.
func (s *Session) NameOf(reference string) string {
	if r, found := s.Find(reference); found {
		return r.Name
	}
	resource := cloud.ResourceOf(reference)
	return resource[strings.LastIndexAny(resource, "/:")+1:]
}
