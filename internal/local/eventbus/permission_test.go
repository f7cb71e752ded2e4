package eventbus

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// denial returns a statement that denies events to the principal, on a condition.
func denial(principal, condition string) string {
	return `{"Sid":"no","Effect":"Deny","Principal":` + principal + `,"Action":"events:PutEvents",` +
		`"Resource":"arn:aws:events:eu-west-1:000000000000:event-bus/Orders","Condition":` + condition + `}`
}

const onlySecret = `{"StringEquals":{"events:detail-type":"Secret"}}`

func policy(statement string) string {
	return `{"Version":"2012-10-17","Statement":[` + statement + `]}`
}

// refusals puts an event of the type Secret and one of the type Open, as the role or else as the developer, and returns the
// codes of their errors.
func (a *runningService) refusals(t *testing.T, role string) string {
	t.Helper()
	var entries []types.PutEventsRequestEntry
	for _, kind := range []string{"Secret", "Open"} {
		entries = append(entries, types.PutEventsRequestEntry{EventBusName: ordersBus, Source: aws.String("orders"), DetailType: &kind, Detail: aws.String("{}")})
	}
	out, err := a.client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: entries}, func(o *eventbridge.Options) {
		if role != "" {
			o.Credentials = credentials.NewStaticCredentialsProvider(role, "secret", "")
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.Entries[0].ErrorCode) + "," + aws.ToString(out.Entries[1].ErrorCode)
}

func (a *runningService) putPolicy(t *testing.T, policy string) error {
	t.Helper()
	_, err := a.client.PutPermission(t.Context(), &eventbridge.PutPermissionInput{EventBusName: ordersBus, Policy: &policy})
	return err
}

// A bus's policy refuses one event of a request, and the other is accepted.
func TestABusPolicyRefusesSingleEvents(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(map[string]any{"Name": "one"}))
	const pipe = `{"AWS":"arn:aws:iam::000000000000:role/Pipe"}`
	for name, c := range map[string]struct{ statement, role, want string }{
		"a detail type":              {denial(`"*"`, onlySecret), "", "NotAuthorizedForDetailTypeException,"},
		"all but a detail type":      {denial(`"*"`, `{"StringNotLike":{"events:detail-type":"Op*"}}`), "", "NotAuthorizedForDetailTypeException,"},
		"a source":                   {denial(`"*"`, `{"StringEquals":{"events:source":"orders"}}`), "", "NotAuthorizedForSourceException,NotAuthorizedForSourceException"},
		"another source":             {denial(`"*"`, `{"StringEquals":{"events:source":"billing"}}`), "", ","},
		"everything":                 {denial(`"*"`, `{}`), "", "AccessDeniedException,AccessDeniedException"},
		"a role, and it calls":       {denial(pipe, onlySecret), "Pipe", "NotAuthorizedForDetailTypeException,"},
		"a role, and another calls":  {denial(pipe, onlySecret), "Other", ","},
		"a role, and nobody's calls": {denial(pipe, onlySecret), "", ","},
		"what it allows":             {strings.Replace(denial(`"*"`, onlySecret), "Deny", "Allow", 1), "", ","},
	} {
		t.Run(name, func(t *testing.T) {
			if err := a.putPolicy(t, policy(c.statement)); err != nil {
				t.Fatal(err)
			}
			expect(t, "refusals", a.refusals(t, c.role), c.want)
			out, err := a.client.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: ordersBus})
			if err != nil || aws.ToString(out.Policy) != policy(c.statement) {
				t.Errorf("the bus has the policy %q, %v", aws.ToString(out.Policy), err)
			}
		})
	}
	if _, err := a.client.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{EventBusName: ordersBus, RemoveAllPermissions: true}); err != nil {
		t.Fatal(err)
	}
	expect(t, "refusals without the policy", a.refusals(t, ""), ",")
}

func TestABadBusPolicyIsRefused(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"))
	if err := a.putPolicy(t, policy(denial(`"*"`, onlySecret))); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"no principal": policy(`{"Effect":"Allow","Action":"events:PutEvents","Resource":"*"}`),
		"no JSON":      "{",
		"an operator":  policy(denial(`"*"`, `{"StringIs":{"events:source":"x"}}`)),
	} {
		if err := a.putPolicy(t, bad); code(err) != "ValidationException" {
			t.Errorf("%s: got %v, want a ValidationException", name, err)
		}
	}
	_, err := a.client.PutPermission(t.Context(), &eventbridge.PutPermissionInput{EventBusName: ordersBus, Principal: aws.String("*"), StatementId: aws.String("s"), Action: aws.String("events:PutEvents")})
	expect(t, "code for another account", code(err), "ValidationException")
	expect(t, "refusals by the policy that was there before", a.refusals(t, ""), "NotAuthorizedForDetailTypeException,")
}

// What a call has set stays over a restart, until the template gives the bus another policy.
func TestABusPolicyStays(t *testing.T) {
	start := func(path, statement string) *runningService {
		a := listen(t, path)
		if statement != "" {
			a.provision(t, "AWS::Events::EventBusPolicy", "P", map[string]any{"EventBusName": "Orders", "StatementId": "s", "Statement": json.RawMessage(statement)})
		}
		if err := a.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		return a
	}
	ofTemplate := denial(`"*"`, `{"StringEquals":{"events:detail-type":"Open"}}`)
	a := start(filepath.Join(t.TempDir(), "j.db"), ofTemplate)
	expect(t, "refusals by the template's policy", a.refusals(t, ""), ",NotAuthorizedForDetailTypeException")
	if err := a.putPolicy(t, policy(denial(`"*"`, onlySecret))); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ statement, want string }{
		{ofTemplate, "NotAuthorizedForDetailTypeException,"}, {denial(`"*"`, `{}`), "AccessDeniedException,AccessDeniedException"}, {"", ","},
	} {
		a = start(copyOf(t, a.db), c.statement)
		expect(t, "refusals after a restart", a.refusals(t, ""), c.want)
	}
}
