package control_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	awspipes "github.com/aws/aws-sdk-go-v2/service/pipes"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/outboxkit/transactional-outbox/internal/local/access"
	"github.com/outboxkit/transactional-outbox/internal/local/cloud"
	"github.com/outboxkit/transactional-outbox/internal/local/control"
	"github.com/outboxkit/transactional-outbox/internal/local/template"
)

// asRole starts a service that enforces policies, and returns it with the keys of a role that may only look at alarms.
func asRole(t *testing.T) *endpoint {
	t.Helper()
	var authority *access.Authority
	e := startWith(t, func(c *cloud.Cloud, config *control.Config) {
		authority = access.New(access.Config{Cloud: c})
		config.Guard = authority.GuardOthers
		config.Identity = func(r *http.Request) (control.Identity, bool) {
			arn, id, ok := authority.Identity(r)
			return control.Identity{Arn: arn, UserId: id, Account: cloud.Account}, ok
		}
	})
	made, err := authority.Provisions()["AWS::IAM::Role"](t.Context(), template.Resource{LogicalID: "R", PhysicalName: "Role", Properties: map[string]any{
		"AssumeRolePolicyDocument": map[string]any{"Statement": map[string]any{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": map[string]any{"Service": "lambda.amazonaws.com"}}},
		"Policies": []any{map[string]any{"PolicyName": "P", "PolicyDocument": map[string]any{
			"Statement": map[string]any{"Effect": "Allow", "Action": "cloudwatch:DescribeAlarms", "Resource": "*"},
		}}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	key := e.cloud.Assume(made.GetAtt["Arn"], "fn").AccessKey()
	e.config.Credentials = credentials.NewStaticCredentialsProvider(key, "local", "local")
	return e
}

// A denial has the form of the call's protocol, so that the SDK's clients read its code.
func TestDenied(t *testing.T) {
	e := asRole(t)
	for action, call := range map[string]func(context.Context) error{
		"ssm:GetParameter": func(ctx context.Context) error {
			_, err := ssm.NewFromConfig(e.config).GetParameter(ctx, &ssm.GetParameterInput{Name: aws.String("p")})
			return err
		},
		"cloudwatch:ListMetrics": func(ctx context.Context) error {
			_, err := cloudwatch.NewFromConfig(e.config).ListMetrics(ctx, nil)
			return err
		},
		"cloudformation:DescribeStacks": func(ctx context.Context) error {
			_, err := cloudformation.NewFromConfig(e.config).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: aws.String("S")})
			return err
		},
		"lambda:InvokeFunction": func(ctx context.Context) error {
			_, err := lambda.NewFromConfig(e.config).Invoke(ctx, &lambda.InvokeInput{FunctionName: aws.String("f")})
			return err
		},
		"pipes:StopPipe": func(ctx context.Context) error {
			_, err := awspipes.NewFromConfig(e.config).StopPipe(ctx, &awspipes.StopPipeInput{Name: aws.String("p")})
			return err
		},
	} {
		var denied smithy.APIError
		if err := call(t.Context()); !errors.As(err, &denied) || !strings.HasPrefix(denied.ErrorCode(), "AccessDenied") || !strings.Contains(denied.ErrorMessage(), "is not authorized to perform: "+action+" on resource: ") {
			t.Errorf("%s: %v, want a denial", action, err)
		}
	}
	if _, err := cloudwatch.NewFromConfig(e.config).DescribeAlarms(t.Context(), nil); err != nil {
		t.Errorf("what the role may do: %v", err)
	}
}

func TestIdentityOfARole(t *testing.T) {
	out, err := sts.NewFromConfig(asRole(t).config).GetCallerIdentity(t.Context(), nil)
	if err != nil || *out.Arn != "arn:aws:sts::000000000000:assumed-role/Role/fn" || *out.UserId != "AROAR:fn" || *out.Account != cloud.Account {
		t.Errorf("got %+v (%v)", out, err)
	}
}
