package template

import (
	"regexp"
	"strings"
)

// A Deployment is a stack whose resources are provisioned.
type Deployment struct {
	// Stack is the stack's name.
	Stack string
	// Template is the text of its template, as it was synthesized or written.
	Template string
	// Resources in the order in which they were created.
	Resources []Deployed
	// Skipped resources in the order of the template.
	Skipped []Skipped
	// Outputs in the order of the template, without those whose condition does not hold.
	Outputs []Output

	index map[string]int
}

// A Deployed is a resource that is provisioned.
type Deployed struct {
	Resource
	Attributes
	// Name is short and readable: the construct path without the stack, "Outbox/PublisherOne/Queue", or with it where another
	// stack of the run has the same. It is the logical id where the template has no path.
	Name string
}

// A Skipped is a resource that the local run does not need.
type Skipped struct {
	LogicalID, Type string
	Name            string // as in Deployed
	Ref             string // the placeholder to which references to it resolve
	Reason          string // why the local run does not need it
}

// An Output is an output of the stack.
type Output struct {
	Name, Value, Description string
	// Export is the name under which other stacks may import it, or empty.
	Export string
}

// Find returns the resource with that logical id, ARN or Ref, and whether there is one. The ARN of something that
// belongs to a resource, such as a table's stream, finds the resource.
func (d *Deployment) Find(reference string) (Deployed, bool) {
	i, ok := d.index[reference]
	if !ok {
		return Deployed{}, false
	}
	return d.Resources[i], true
}

// index returns the indices of the resources by reference. Logical ids take precedence over ARNs, and both over Refs,
// which are not always unique.
func index(resources []Deployed) map[string]int {
	all := map[string]int{}
	add := func(reference string, i int) {
		if _, taken := all[reference]; !taken && reference != "" {
			all[reference] = i
		}
	}
	for i, r := range resources {
		add(r.LogicalID, i)
		add(r.TemplateID(), i)
	}
	for i, r := range resources {
		for _, value := range r.GetAtt {
			if strings.HasPrefix(value, "arn:") {
				add(value, i)
			}
		}
	}
	for i, r := range resources {
		add(r.Ref, i)
	}
	return all
}

// readableName returns the name for [Deployed]. CDK names the CloudFormation resource of a construct "Resource" or
// "Default".
func (s *Stack) readableName(r Resource) string {
	name := strings.TrimPrefix(r.Path, s.DisplayName+"/")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/Resource"), "/Default")
	if name == "" {
		return r.LogicalID
	}
	return name
}

// maxName is the longest name of an event bus, rule, pipe or function, which have the strictest limit.
const maxName = 64

var notInNames = regexp.MustCompile(`[^A-Za-z0-9-]`)

// physicalName returns the name for Resource.PhysicalName.
func physicalName(stack, id string) string {
	name := notInNames.ReplaceAllString(stack+"-"+id, "-")
	if len(name) <= maxName {
		return name
	}
	suffix := "-" + digest(name)
	return name[:maxName-len(suffix)] + suffix
}
