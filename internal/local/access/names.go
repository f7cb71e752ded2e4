package access

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// A name is how a template refers to an ARN.
type name struct {
	stack string // whose template it is
	whole string // JSON: a Ref, a Fn::GetAtt or a Fn::Sub
	sub   string // the same in the text of a Fn::Sub
}

// subName returns the name that is a Fn::Sub.
func subName(stack, text string) name {
	return name{stack: stack, whole: fmt.Sprintf(`{"Fn::Sub":%q}`, text), sub: text}
}

// noteNames keeps how a template refers to the ARNs of a resource.
func (a *Authority) noteNames(r template.Resource, made template.Attributes) {
	if r.Type == "AWS::Lambda::Url" {
		return // its ARN is that of its function
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	id := r.TemplateID()
	if strings.HasPrefix(made.Ref, "arn:") {
		a.names[made.Ref] = name{r.Stack, fmt.Sprintf(`{"Ref":%q}`, id), "${" + id + "}"}
	}
	for attribute, value := range made.GetAtt {
		if strings.HasPrefix(value, "arn:") {
			a.names[a.inRegion(value)] = name{r.Stack, fmt.Sprintf(`{"Fn::GetAtt":[%q,%q]}`, id, attribute), "${" + id + "." + attribute + "}"}
		}
	}
	a.noteNamesByRef(r, made.Ref)
}

// noteNamesByRef keeps the ARNs that a template can write only with the name that Ref returns.
func (a *Authority) noteNamesByRef(r template.Resource, ref string) {
	var service, before string
	switch r.Type {
	case "AWS::Lambda::Function":
		service, before = "logs", "log-group:/aws/lambda/"
	case "AWS::ApiGateway::RestApi":
		service = "execute-api"
	case "AWS::SSM::Parameter":
		service, before = "ssm", "parameter"
		if !strings.HasPrefix(ref, "/") {
			before += "/"
		}
	default:
		return
	}
	a.names[a.cloud.ARN(service, before+ref)] = subName(r.Stack, regional(service, before+"${"+r.TemplateID()+"}"))
}

// regional returns an ARN of the stack's account and region, in the text of a Fn::Sub.
func regional(service, resource string) string {
	return "arn:${AWS::Partition}:" + service + ":${AWS::Region}:${AWS::AccountId}:" + resource
}

// pathParameter matches a parameter in the path of a method, for which policies have a *.
// Source: API Gateway developer guide, api-gateway-control-access-using-iam-policies-to-invoke-api.
var pathParameter = regexp.MustCompile(`\{[^}]*\}`)

// namesIn returns templateName for the template of one stack.
func (a *Authority) namesIn(stack string) func(arn string) string {
	return func(arn string) string { return a.templateName(stack, arn) }
}

// namesBeside returns templateName for the template that has a resource, whose policy a statement belongs to.
func (a *Authority) namesBeside(arn string) func(arn string) string {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.namesIn(a.names[arn].stack)
}

// templateName returns how the template of a stack refers to an ARN, as JSON. What is below a resource of the template, such as an
// index of a table, is named by it, and what the template does not have, because it is another stack's for example, by its ARN in whatever account the stack is in.
func (a *Authority) templateName(stack, arn string) string {
	if group, _, stream := strings.Cut(arn, ":log-stream:"); stream {
		arn = group + ":*" // a policy allows all streams of a group
	}
	if strings.HasPrefix(arn, "arn:aws:execute-api:") {
		arn = pathParameter.ReplaceAllString(arn, "*")
	}
	a.mu.RLock()
	defer a.mu.RUnlock()
	if known, ok := a.names[arn]; ok && known.stack == stack {
		return known.whole
	}
	for end := strings.LastIndexAny(arn, "/:"); end > 0; end = strings.LastIndexAny(arn[:end], "/:") {
		if parent, ok := a.names[arn[:end]]; ok && parent.stack == stack {
			return subName(stack, parent.sub+arn[end:]).whole
		}
	}
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) == 6 && parts[3] == a.cloud.Region && parts[4] == cloud.Account {
		return subName(stack, regional(parts[2], parts[5])).whole
	}
	text, _ := json.Marshal(arn) // a text is always JSON
	return string(text)
}
