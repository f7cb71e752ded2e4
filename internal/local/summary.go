package local

import (
	"slices"
	"strings"
	"time"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/console"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// summary returns what runs, for the console.
func (s *Session) summary(d *deployed, took time.Duration) console.Summary {
	sum := d.summary(s.data.dir, took, d.deployments)
	sum.Page = s.options.Page
	return sum
}

// summary returns what runs of the deployments.
func (s *services) summary(data string, took time.Duration, deployments []*template.Deployment) console.Summary {
	sum := console.Summary{
		Region: s.cloud.Region, Data: data, Started: took.Round(100 * time.Millisecond).String(),
		APIs: s.apis.served(), Addresses: s.apis.mapped(), Outputs: map[string]string{},
	}
	if len(sum.APIs) > 0 {
		sum.API = sum.APIs[0].URL
	}
	for _, service := range cloud.Services {
		sum.Endpoints = append(sum.Endpoints, console.Endpoint{Service: service, URL: s.cloud.Endpoint(service)})
	}
	for _, d := range deployments {
		if d.Stack != standInStack {
			sum.Stacks = append(sum.Stacks, d.Stack)
		}
		addResources(&sum, d)
		s.addFunctionURLs(&sum, d)
	}
	sum.Stack = strings.Join(sum.Stacks, ", ")
	s.addOutputs(&sum, deployments)
	return sum
}

func addResources(sum *console.Summary, d *template.Deployment) {
	for _, r := range d.Resources {
		if strings.HasPrefix(r.Type, "AWS::IAM::") || r.Type == "AWS::Lambda::Permission" {
			continue // evaluated, and nothing that runs
		}
		sum.Resources = append(sum.Resources, console.Resource{LogicalID: r.LogicalID, Stack: d.Stack, Name: r.Name, Type: r.Type, Ref: r.Ref})
	}
	for _, r := range d.Skipped {
		i := slices.IndexFunc(sum.Skipped, func(s console.Skipped) bool { return s.Type == r.Type })
		if i < 0 {
			i = len(sum.Skipped)
			sum.Skipped = append(sum.Skipped, console.Skipped{Type: r.Type, Reason: r.Reason})
		}
		sum.Skipped[i].Count++
	}
}

// addFunctionURLs adds the URLs of functions by the readable names of the URLs.
func (s *services) addFunctionURLs(sum *console.Summary, d *template.Deployment) {
	urls := s.urls.URLs()
	for _, r := range d.Resources {
		if url := urls[r.LogicalID]; url != "" {
			sum.Addresses[r.Name] = url
		}
	}
}

// addOutputs adds the outputs by their names, with the stack before a name that several stacks have.
func (s *services) addOutputs(sum *console.Summary, deployments []*template.Deployment) {
	count := map[string]int{}
	for _, d := range deployments {
		for _, o := range d.Outputs {
			count[o.Name]++
		}
	}
	for _, d := range deployments {
		for _, o := range d.Outputs {
			name := o.Name
			if count[name] > 1 {
				name = d.Stack + "/" + name
			}
			sum.Outputs[name] = s.apis.Local(o.Value)
		}
	}
}
