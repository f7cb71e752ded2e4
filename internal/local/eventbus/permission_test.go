package eventbus

import (
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

const refuseSecret = `{"Version":"2012-10-17","Statement":[{"Sid":"no","Effect":"Deny","Principal":"*","Action":"events:PutEvents",` +
	`"Resource":"arn:aws:events:eu-west-1:000000000000:event-bus/Orders","Condition":{"StringEquals":{"events:detail-type":"Secret"}}}]}`

// A bus's policy refuses one event of a request, and the other is accepted; without the policy both are.
func TestAPolicyRefusesADetailType(t *testing.T) {
	a := listen(t, filepath.Join(t.TempDir(), "j.db"), ruleWith(map[string]any{"Name": "one"}))
	put := func() string {
		t.Helper()
		entry := func(kind string) types.PutEventsRequestEntry {
			return types.PutEventsRequestEntry{EventBusName: ordersBus, Source: aws.String("orders"), DetailType: &kind, Detail: aws.String("{}")}
		}
		out, err := a.client.PutEvents(t.Context(), &eventbridge.PutEventsInput{Entries: []types.PutEventsRequestEntry{entry("Secret"), entry("Open")}})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.Entries[0].ErrorCode) + aws.ToString(out.Entries[1].ErrorCode)
	}
	if _, err := a.client.PutPermission(t.Context(), &eventbridge.PutPermissionInput{EventBusName: ordersBus, Policy: aws.String(refuseSecret)}); err != nil {
		t.Fatal(err)
	}
	expect(t, "refusals", put(), "NotAuthorizedForDetailTypeException")
	out, err := a.client.DescribeEventBus(t.Context(), &eventbridge.DescribeEventBusInput{Name: ordersBus})
	if err != nil || aws.ToString(out.Policy) != refuseSecret {
		t.Errorf("the bus has the policy %q, %v", aws.ToString(out.Policy), err)
	}
	if _, err := a.client.RemovePermission(t.Context(), &eventbridge.RemovePermissionInput{EventBusName: ordersBus, RemoveAllPermissions: true}); err != nil {
		t.Fatal(err)
	}
	expect(t, "refusals without the policy", put(), "")
	_, err = a.client.PutPermission(t.Context(), &eventbridge.PutPermissionInput{EventBusName: ordersBus, Policy: aws.String(`{"Statement":[{"Effect":"Allow"}]}`)})
	expect(t, "code for what is not supported", code(err), "ValidationException")
}
