package outbox

import (
	"fmt"
	"slices"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// warn makes the synthesis print what cannot be done from here. With the id a user can acknowledge it.
func warn(scope constructs.Construct, id, message string) {
	awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("outboxkit:"+id), &message, nil)
}

// The regions that had no EventBridge Pipes when the list was last looked at.
// Source: AWS General Reference, Amazon EventBridge Pipes endpoints.
const regionsLookedAt = "November 2026"

var regionsWithoutPipes = []string{
	"ap-east-2", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6", "ap-southeast-7",
	"ca-west-1", "il-central-1", "mx-central-1",
}

const governmentRegions = "us-gov-"

// warnOfRegion warns where the stack's region is known and had no EventBridge Pipes. It does not refuse,
// because AWS adds regions faster than this package is updated.
func warnOfRegion(scope constructs.Construct, region string) {
	if slices.Contains(regionsWithoutPipes, region) || strings.HasPrefix(region, governmentRegions) {
		warn(scope, "region", fmt.Sprintf("the region %s had no EventBridge Pipes in %s: check that it has them now, or the deployment fails at the pipe", region, regionsLookedAt))
	}
}

// warnOfUnseen warns of what the monitor and the audit find out and nobody learns, and of what they need and cannot see.
func (o *TransactionalOutbox) warnOfUnseen(c outboxConfig) {
	if c.Alarms == nil && (c.Monitor != nil || c.Audit != nil) {
		warn(o, "unseen", "Monitor and Audit notify nobody without Alarms: set Alarms, best with a Topic")
	}
	if c.Audit != nil && c.Table != nil {
		warn(o, "readers", "a stream allows two readers, and that of a global table only one: the pipe and the auditor are two, so nothing else may read the stream of Table, and it must not be a global table")
	}
}
