package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/jsii-runtime-go"
)

// orderSchema returns the schema of the body of POST /orders. Its limits keep the event below the bus's 256 KB: a character
// beyond the basic plane takes twelve bytes in the event's JSON and fourteen in the envelope, so 100 items with the
// longest sku, the note and the rest come to less than 120 KB.
func orderSchema() *awsapigateway.JsonSchema {
	return object([]string{"customerId", "items", "currency"}, map[string]*awsapigateway.JsonSchema{
		"customerId": text(64),
		"items": {
			Type:     awsapigateway.JsonSchemaType_ARRAY,
			MinItems: jsii.Number(1),
			MaxItems: jsii.Number(100),
			Items: object([]string{"sku", "quantity", "unitPrice"}, map[string]*awsapigateway.JsonSchema{
				"sku":       text(64),
				"quantity":  integer(1, 10_000),
				"unitPrice": integer(0, 100_000_000), // minor units of the currency
			}),
		},
		"currency": {Type: awsapigateway.JsonSchemaType_STRING, Pattern: jsii.String("^[A-Z]{3}$")},
		"note":     text(1000),
	})
}

// orderStatusSchema returns the schema of the body of PATCH /orders/{id}.
func orderStatusSchema() *awsapigateway.JsonSchema {
	return object([]string{"status"}, map[string]*awsapigateway.JsonSchema{
		"status": {Type: awsapigateway.JsonSchemaType_STRING, Enum: &[]any{"CREATED", "CONFIRMED", "SHIPPED", "CANCELLED"}},
	})
}

// object returns the schema of an object with these properties and no others.
func object(required []string, properties map[string]*awsapigateway.JsonSchema) *awsapigateway.JsonSchema {
	return &awsapigateway.JsonSchema{
		Type:                 awsapigateway.JsonSchemaType_OBJECT,
		Required:             jsii.Strings(required...),
		Properties:           &properties,
		AdditionalProperties: jsii.Bool(false),
	}
}

// text returns the schema of a string that is not empty.
func text(longest float64) *awsapigateway.JsonSchema {
	return &awsapigateway.JsonSchema{
		Type:      awsapigateway.JsonSchemaType_STRING,
		MinLength: jsii.Number(1),
		MaxLength: jsii.Number(longest),
	}
}

func integer(least, most float64) *awsapigateway.JsonSchema {
	return &awsapigateway.JsonSchema{
		Type:    awsapigateway.JsonSchemaType_INTEGER,
		Minimum: jsii.Number(least),
		Maximum: jsii.Number(most),
	}
}
