// Package ownerpolicy shows the policy statements that the owner of an imported resource must add, because the policy
// of such a resource cannot be changed from the stack that uses it.
package ownerpolicy

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Warn makes the synthesis print the statement that the owner of the resource must add. The resource is named in words,
// "queue" for example. The purpose is one word that tells the statements of one resource apart.
func Warn(scope constructs.Construct, resource awscdk.IResource, what, purpose string, statement awsiam.PolicyStatement) {
	path := *resource.Node().Path()
	awscdk.Annotations_Of(scope).AddWarningV2(
		jsii.String(fmt.Sprintf("outboxkit:%s-policy:%s:%s", what, purpose, path)),
		jsii.String(fmt.Sprintf("the policy of the imported %s %s cannot be changed from here: its owner must add %s", what, path, Show(scope, purpose, statement))),
		nil)
}

// Show returns the statement as JSON that the owner can paste into a policy. What only the deployment knows stands there
// as ACCOUNT, REGION or the like, with an explanation behind. The Sid stays the same as long as the statement does.
func Show(scope constructs.Construct, purpose string, statement awsiam.PolicyStatement) string {
	stack := awscdk.Stack_Of(scope)
	raw, err := json.Marshal(stack.Resolve(statement.ToStatementJson()))
	if err != nil {
		panic(fmt.Sprintf("%s policy: %v", purpose, err))
	}
	var resolved any
	if err := json.Unmarshal(raw, &resolved); err != nil {
		panic(fmt.Sprintf("%s policy: %v", purpose, err))
	}
	p := paste{stack: stack}
	shown := p.plain(resolved).(map[string]any)
	shown["Sid"] = sid(purpose, shown)
	return text(shown) + p.explanation()
}

// sid returns an id of letters and digits, which every kind of policy takes.
func sid(purpose string, statement map[string]any) string {
	sum := sha256.Sum256([]byte(text(statement)))
	return "Outbox" + strings.ToUpper(purpose[:1]) + purpose[1:] + hex.EncodeToString(sum[:4])
}

// text returns a value as JSON, with its keys sorted.
func text(value any) string {
	raw, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("a policy statement is always JSON: %v", err))
	}
	return string(raw)
}

// A paste replaces what means something in this template only.
type paste struct {
	stack        awscdk.Stack
	placeholders []string
}

// plain returns the value without intrinsic functions, and without the wrapping that jsii puts around a map.
func (p *paste) plain(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 1 {
			for name, argument := range v {
				if name == "$jsii.map" {
					return p.plain(argument)
				}
				if name == "Ref" || strings.HasPrefix(name, "Fn::") {
					return p.value(name, argument)
				}
			}
		}
		result := map[string]any{}
		for key, element := range v {
			result[key] = p.plain(element)
		}
		return result
	case []any:
		result := make([]any, len(v))
		for i, element := range v {
			result[i] = p.plain(element)
		}
		return result
	}
	return value
}

// value returns the text in place of an intrinsic function.
func (p *paste) value(function string, argument any) string {
	switch function {
	case "Fn::Join":
		parts := argument.([]any)
		var texts []string
		for _, part := range parts[1].([]any) {
			texts = append(texts, fmt.Sprint(p.plain(part)))
		}
		return strings.Join(texts, parts[0].(string))
	case "Ref":
		switch name := fmt.Sprint(argument); name {
		case "AWS::AccountId":
			return p.placeholder("ACCOUNT")
		case "AWS::Region":
			return p.placeholder("REGION")
		case "AWS::Partition":
			return p.placeholder("PARTITION")
		case "AWS::URLSuffix":
			return "amazonaws.com"
		case "AWS::StackName":
			return *p.stack.StackName()
		default:
			return p.placeholder("NAME_OF_" + name)
		}
	case "Fn::GetAtt":
		if parts, ok := argument.([]any); ok && len(parts) == 2 {
			return p.placeholder(fmt.Sprintf("%s_OF_%s", strings.ToUpper(fmt.Sprint(parts[1])), parts[0]))
		}
	}
	return p.placeholder("VALUE_AT_DEPLOYMENT")
}

func (p *paste) placeholder(name string) string {
	if !slices.Contains(p.placeholders, name) {
		p.placeholders = append(p.placeholders, name)
	}
	return name
}

// explanation returns what the placeholders stand for.
func (p *paste) explanation() string {
	if len(p.placeholders) == 0 {
		return ""
	}
	slices.Sort(p.placeholders)
	return fmt.Sprintf(" (in place of %s: what they are where stack %s is deployed)", strings.Join(p.placeholders, ", "), *p.stack.StackName())
}
