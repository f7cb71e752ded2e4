package outbox

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// warn makes the synthesis print what cannot be done from here. The id lets a user acknowledge it.
func warn(scope constructs.Construct, id, message string) {
	awscdk.Annotations_Of(scope).AddWarningV2(jsii.String("outboxkit:"+id), &message, nil)
}
