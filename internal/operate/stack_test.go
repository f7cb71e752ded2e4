package operate

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	cftypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	ssmtypes "github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"
)

// account stands in for CloudFormation and Systems Manager: stacks of resources, and parameters.
type account struct {
	CloudFormation
	SSM
	stacks     map[string][]cftypes.StackResourceSummary
	parameters map[string]string
}

func newAccount() *account {
	return &account{stacks: map[string][]cftypes.StackResourceSummary{}, parameters: map[string]string{}}
}

func (a *account) clients() Clients {
	return Clients{CloudFormation: a, SSM: a, Where: "region eu-central-1"}
}

// resource adds a resource to a stack.
func (a *account) resource(stack, kind, id string) {
	a.stacks[stack] = append(a.stacks[stack], cftypes.StackResourceSummary{ResourceType: &kind, PhysicalResourceId: &id})
}

// parameter adds a description to a stack.
func (a *account) parameter(stack, name, value string) {
	a.parameters[name] = value
	a.resource(stack, "AWS::SSM::Parameter", name)
}

func (a *account) DescribeStacks(context.Context, *cloudformation.DescribeStacksInput, ...func(*cloudformation.Options)) (*cloudformation.DescribeStacksOutput, error) {
	out := &cloudformation.DescribeStacksOutput{}
	for _, name := range slices.Sorted(maps.Keys(a.stacks)) {
		s := cftypes.Stack{StackName: &name}
		if strings.HasPrefix(name, "arn:") {
			s.RootId = aws.String("root")
		}
		out.Stacks = append(out.Stacks, s)
	}
	return out, nil
}

// ListStackResources gives two resources a page.
func (a *account) ListStackResources(_ context.Context, in *cloudformation.ListStackResourcesInput, _ ...func(*cloudformation.Options)) (*cloudformation.ListStackResourcesOutput, error) {
	all, ok := a.stacks[*in.StackName]
	if !ok {
		return nil, &smithy.GenericAPIError{Code: "ValidationError", Message: "Stack with id " + *in.StackName + " does not exist"}
	}
	at := 0
	if in.NextToken != nil {
		_, _ = fmt.Sscan(*in.NextToken, &at)
	}
	end := min(at+2, len(all))
	out := &cloudformation.ListStackResourcesOutput{StackResourceSummaries: all[at:end]}
	if end < len(all) {
		out.NextToken = aws.String(fmt.Sprint(end))
	}
	return out, nil
}

func (a *account) GetParameters(_ context.Context, in *ssm.GetParametersInput, _ ...func(*ssm.Options)) (*ssm.GetParametersOutput, error) {
	if len(in.Names) > 10 {
		return nil, fmt.Errorf("%d names are more than 10", len(in.Names))
	}
	out := &ssm.GetParametersOutput{}
	for _, name := range in.Names {
		if value, ok := a.parameters[name]; ok {
			out.Parameters = append(out.Parameters, ssmtypes.Parameter{Name: &name, Value: &value})
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, nil
}

const boxParameter = "/outboxkit/Orders/Outbox/"

// describedOutbox describes an outbox at the path.
func describedOutbox(path string) string {
	return fmt.Sprintf(`{"version":"1","path":%q,"source":"orders","table":"Events"}`, path)
}

func describedConsumer(id string) string {
	return fmt.Sprintf(`{"version":"1","id":%q,"name":"Orders/Outbox/%s","inbox":"TABLE","pattern":{"source":["orders"]}}`, id, id)
}

func labels(consumers []*Consumer) (all []string) {
	for _, c := range consumers {
		all = append(all, c.Label())
	}
	return all
}

// TestOneDescriptionThatIsGone takes away only what it described, and needs a person.
func TestOneDescriptionThatIsGone(t *testing.T) {
	a := newAccount()
	a.parameter("Orders", boxParameter+"outbox", describedOutbox("Orders/Outbox"))
	a.parameter("Orders", boxParameter+"consumer/Ship", describedConsumer("Ship"))
	a.resource("Orders", "AWS::SSM::Parameter", boxParameter+"consumer/Bill")
	a.resource("Orders", "AWS::SSM::Parameter", boxParameter+"consumer/Old")
	a.stacks["Orders"][3].ResourceStatus = cftypes.ResourceStatusDeleteComplete
	stack, err := Discover(t.Context(), a.clients(), "Orders")
	if err != nil {
		t.Fatal(err)
	}
	if got := labels(stack.Consumers); !slices.Equal(got, []string{"Ship"}) || !slices.Equal(stack.Gone, []string{boxParameter + "consumer/Bill"}) {
		t.Errorf("found consumers %v, and gone are %v", got, stack.Gone)
	}
	if !strings.Contains(stack.Warning(), "consumer/Bill is gone") {
		t.Errorf("it warns %q", stack.Warning())
	}
	s := survey(t, newPlant(stack), stack)
	if len(s.Needs) == 0 || !strings.Contains(s.Needs[0].What, "consumer/Bill is gone") || !strings.Contains(s.Needs[0].Do, "take the parameter out") {
		t.Errorf("it needs %+v", s.Needs)
	}
	stack.Outboxes = nil
	if _, err := stack.Outbox(""); err == nil || !strings.Contains(err.Error(), "is gone") {
		t.Errorf("without a description of an outbox: %v", err)
	}
}

func TestDiscover(t *testing.T) {
	a := newAccount()
	a.resource("Orders", "AWS::DynamoDB::Table", "Events")
	a.parameter("Orders", boxParameter+"outbox", describedOutbox("Orders/Outbox"))
	a.resource("Orders", "AWS::CloudFormation::Stack", "arn:nested")
	a.resource("Orders", "AWS::CloudWatch::Alarm", "PipeSilent")
	a.resource("Orders", "AWS::SSM::Parameter", "/somebody/else")
	a.resource("Orders", "AWS::SSM::Parameter", "") // not made yet
	var want []string
	for n := range 12 {
		id := fmt.Sprintf("C%02d", n)
		want = append(want, id)
		a.parameter("arn:nested", boxParameter+"consumer/"+id, describedConsumer(id))
	}
	a.parameter("arn:nested", "/outboxkit/Orders/Imported/consumer/Bill", describedConsumer("Bill"))

	for _, name := range []string{"Orders", ""} { // the only stack
		stack, err := Discover(t.Context(), a.clients(), name)
		if err != nil {
			t.Fatal(err)
		}
		if stack.Name != "Orders" || len(stack.Outboxes) != 1 || stack.Outboxes[0].Table != "Events" || !slices.Equal(stack.Alarms, []string{"PipeSilent"}) {
			t.Fatalf("found %+v", stack)
		}
		if got := labels(stack.Outboxes[0].Consumers); !slices.Equal(got, want) {
			t.Errorf("the outbox has consumers %v, want %v", got, want)
		}
		if got := labels(stack.Consumers); !slices.Equal(got, append([]string{"Bill"}, want...)) {
			t.Errorf("the stack has consumers %v, want those of the imported outbox too", got)
		}
		if bill := stack.Consumers[0]; bill.Outbox != nil {
			t.Errorf("consumer Bill is taken for one of %s, which it is not", bill.Outbox.Path)
		}
		if c := stack.Consumers[1]; c.Outbox != stack.Outboxes[0] {
			t.Error("a consumer does not know its outbox")
		}
	}
}

func TestDiscoverRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		stack string
		set   func(*account)
		says  []string
	}{
		"no such stack": {"Order", func(*account) {}, []string{`no stack "Order" in region eu-central-1`}},
		"a stack of others": {"Orders", func(a *account) {
			a.resource("Orders", "AWS::DynamoDB::Table", "t")
		}, []string{"stack Orders has no outbox, and no consumer"}},
		"a stack from before": {"Orders", func(a *account) {
			a.resource("Orders", "AWS::Pipes::Pipe", "p")
		}, []string{"deployed before", "deploy it with this version"}},
		"a description of another version": {"Orders", func(a *account) {
			a.parameter("Orders", boxParameter+"outbox", `{"version":"2"}`)
		}, []string{boxParameter + "outbox", `must be "1", got "2"`}},
		"a description that is gone": {"Orders", func(a *account) {
			a.resource("Orders", "AWS::SSM::Parameter", boxParameter+"outbox")
		}, []string{boxParameter + "outbox is gone"}},
		"several stacks, and no name": {"", func(a *account) {
			a.stacks["A"], a.stacks["B"] = nil, nil
		}, []string{"has 2 stacks, say --stack: A, B"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAccount()
			tc.set(a)
			_, err := Discover(t.Context(), a.clients(), tc.stack)
			if err == nil {
				t.Fatal("it found a stack")
			}
			for _, want := range tc.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("it said %q, which does not have %q", err, want)
				}
			}
		})
	}
}

func TestChoosingOneOutbox(t *testing.T) {
	a := newAccount()
	a.parameter("Orders", boxParameter+"outbox", describedOutbox("Orders/Outbox"))
	a.parameter("Orders", "/outboxkit/Orders/Api.Outbox/outbox", describedOutbox("Orders/Api/Outbox"))
	a.parameter("Orders", "/outboxkit/Orders/Billing/outbox", describedOutbox("Orders/Billing"))
	stack, err := Discover(t.Context(), a.clients(), "Orders")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"Billing": "Orders/Billing", "Orders/Outbox": "Orders/Outbox", "Api/Outbox": "Orders/Api/Outbox"} {
		if only, err := stack.Only(name); err != nil || len(only.Outboxes) != 1 || only.Outboxes[0].Path != want {
			t.Errorf("only %s is %v (%v)", name, only, err)
		}
		if box, err := stack.Outbox(name); err != nil || box.Path != want {
			t.Errorf("--outbox %s is %v (%v), want %s", name, box, err, want)
		}
	}
	for name, says := range map[string]string{"": "has 3 outboxes", "Outbox": "could be several", "Payments": `got "Payments"`} {
		if _, err := stack.Outbox(name); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "Orders/Api/Outbox") {
			t.Errorf("--outbox %q: got %v, want an error that says %q and lists the outboxes", name, err, says)
		}
	}
}

func TestFindConsumer(t *testing.T) {
	one, other, alike := &Consumer{}, &Consumer{}, &Consumer{}
	one.ID, one.Name = "Ship", "Orders/Outbox/Ship"
	other.ID, other.Name = "Bill", "Orders/Outbox/Bill"
	alike.ID, alike.Name = "Bill", "Orders/Other/Bill"
	all := []*Consumer{one, other, alike}
	for name, want := range map[string]*Consumer{"Ship": one, "Orders/Other/Bill": alike} {
		if got, err := FindConsumer(all, name); err != nil || got != want {
			t.Errorf("%s: got %v (%v)", name, got, err)
		}
	}
	for name, says := range map[string]string{"Bill": "Orders/Outbox/Bill, Orders/Other/Bill", "bill": "one of Ship, Bill, Bill"} {
		if _, err := FindConsumer(all, name); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v, want an error that says %q", name, err, says)
		}
	}
}

// TestLocallyWithoutALocalRun: one line, and no retries of the SDK.
func TestLocallyWithoutALocalRun(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := free.Addr().(*net.TCPAddr).Port - 1
	_ = free.Close()
	_, err = Locally(t.Context(), port)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("no local run answers on port %d", port)) || !strings.Contains(err.Error(), "outbox local") {
		t.Errorf("got %v, want an error that names the port and the command", err)
	}
}

func TestOnAWSSaysWhatIsMissing(t *testing.T) {
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_CONFIG_FILE", "/dev/null")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	if _, err := OnAWS(t.Context()); err == nil || !strings.Contains(err.Error(), "AWS_REGION") {
		t.Errorf("without a region: got %v", err)
	}
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := OnAWS(t.Context()); err == nil || !strings.Contains(err.Error(), "no AWS credentials") {
		t.Errorf("without credentials: got %v", err)
	}
}

func TestCommandLine(t *testing.T) {
	for want, got := range map[string]string{
		"outbox resume --stack Orders-dev --pipe":            CommandLine{Stack: "Orders-dev", Port: DefaultPort}.For("resume", "--pipe"),
		"outbox resume --local --consumer 'it'\\''s a name'": CommandLine{Local: true, Port: DefaultPort}.For("resume", "--consumer", "it's a name"),
		"outbox status --local --port 4600 --stack Orders":   CommandLine{Stack: "Orders", Local: true, Port: 4600}.For("status"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
