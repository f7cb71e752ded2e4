package control_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

func TestParameters(t *testing.T) {
	e := start(t)
	client := ssm.NewFromConfig(e.config)
	put := func(name, kind, value string) {
		t.Helper()
		got, err := e.provision(t, "AWS::SSM::Parameter", "P", map[string]any{"Name": name, "Type": kind, "Value": value, "Description": "d"})
		if err != nil {
			t.Fatal(err)
		}
		if got.Ref != name || got.GetAtt["Type"] != kind || got.GetAtt["Value"] != value {
			t.Errorf("%s has the attributes %v", name, got)
		}
	}
	for i := range 12 {
		put(fmt.Sprintf("/app/Orders/%02d", i), "String", fmt.Sprint("v", i))
	}
	put("/app/Orders/consumer/One", "String", `{"a":"<&\""}`)
	put("/app/OrdersToo/x", "String", "not below the path")
	put("list", "StringList", "a,b")

	t.Run("GetParameter", func(t *testing.T) {
		for _, name := range []string{"/app/Orders/consumer/One", "arn:aws:ssm:eu-west-1:000000000000:parameter/app/Orders/consumer/One", "/app/Orders/consumer/One:1"} {
			out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: &name})
			if err != nil {
				t.Fatal(err)
			}
			p := out.Parameter
			if *p.Name != "/app/Orders/consumer/One" || *p.Value != `{"a":"<&\""}` || p.Type != types.ParameterTypeString || p.Version != 1 ||
				*p.ARN != "arn:aws:ssm:eu-west-1:000000000000:parameter/app/Orders/consumer/One" || p.LastModifiedDate.IsZero() {
				t.Errorf("got %+v", p)
			}
		}
		out, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("arn:aws:ssm:eu-west-1:000000000000:parameter/list")})
		if err != nil || out.Parameter.Type != types.ParameterTypeStringList {
			t.Errorf("the list: %v", err)
		}
		var missing *types.ParameterNotFound
		if _, err := client.GetParameter(t.Context(), &ssm.GetParameterInput{Name: aws.String("nowhere")}); !errors.As(err, &missing) {
			t.Errorf("an unknown one: %v", err)
		}
	})
	t.Run("GetParameters", func(t *testing.T) {
		out, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: []string{"list", "nowhere", "/app/Orders/03"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Parameters) != 2 || !slices.Equal(out.InvalidParameters, []string{"nowhere"}) {
			t.Errorf("got %d, invalid %q", len(out.Parameters), out.InvalidParameters)
		}
		if _, err := client.GetParameters(t.Context(), &ssm.GetParametersInput{Names: make([]string, 11)}); err == nil {
			t.Error("eleven names were taken")
		}
	})
	for name, c := range map[string]struct {
		recursive bool
		pages     []int
	}{
		"one level": {false, []int{10, 2}},
		"all below": {true, []int{10, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			pages := ssm.NewGetParametersByPathPaginator(client, &ssm.GetParametersByPathInput{Path: aws.String("/app/Orders/"), Recursive: &c.recursive})
			var got []int
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, len(page.Parameters))
			}
			if !slices.Equal(got, c.pages) {
				t.Errorf("the pages have %v, want %v", got, c.pages)
			}
		})
	}
}

func TestParameterIsValidated(t *testing.T) {
	e := start(t)
	for want, properties := range map[string]map[string]any{
		"Type":     {"Name": "a", "Type": "SecureString", "Value": "x"},
		"DataType": {"Name": "a", "Type": "String", "Value": "x", "DataType": "aws:ec2:image"},
		"4096":     {"Name": "a", "Type": "String", "Value": strings.Repeat("x", 4097)},
		"8192":     {"Name": "a", "Type": "String", "Value": strings.Repeat("x", 8193), "Tier": "Advanced"},
		"Secret":   {"Name": "a", "Type": "String", "Value": "x", "Secret": true},
	} {
		if _, err := e.provision(t, "AWS::SSM::Parameter", "P", properties); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
	got, err := e.provision(t, "AWS::SSM::Parameter", "P", map[string]any{"Type": "String", "Value": "x"})
	if err != nil || got.Ref == "" {
		t.Errorf("without a name: %v, %v", got, err)
	}
}
