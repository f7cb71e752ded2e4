package stacks

import (
	"github.com/aws/aws-cdk-go/awscdk/v2/awsapigateway"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsdynamodb"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/outboxkit/transactional-outbox/constructs/outbox"
)

const jsonType = "application/json"

// newOrdersAPI adds the REST API. It writes and reads orders without a function in between; to change one, there are
// rules to keep:
//
//	POST  /orders       one transaction with the order and its event OrderCreated
//	GET   /orders/{id}  the order, its shipment and its history
//	PATCH /orders/{id}  a function: one transaction with the order's new status and its event OrderUpdated
func newOrdersAPI(scope constructs.Construct, env Environment, orders awsdynamodb.ITable, box *outbox.TransactionalOutbox) awsapigateway.RestApi {
	api := awsapigateway.NewRestApi(scope, jsii.String("Api"), &awsapigateway.RestApiProps{
		Description:                 jsii.String("Orders, " + env.Name),
		EndpointTypes:               &[]awsapigateway.EndpointType{awsapigateway.EndpointType_REGIONAL},
		CloudWatchRole:              jsii.Bool(env.APILoggingRole),
		CloudWatchRoleRemovalPolicy: accountRoleRemovalPolicy(env),
		DefaultMethodOptions:        &awsapigateway.MethodOptions{AuthorizationType: authorizationType(env.Authorization)},
		DeployOptions:               stageOptions(scope, env),
	})
	// RestApi makes an output of its own, with a generated name, beside the stack's ApiUrl.
	api.Node().TryRemoveChild(jsii.String("Endpoint"))
	addGatewayResponses(api)

	templates := mapping{
		OrdersTable:           *orders.TableName(),
		OutboxTable:           *box.Table().TableName(),
		EventRetentionSeconds: int64(*box.EventRetention().ToSeconds(nil)),
	}
	body := api.AddRequestValidator(jsii.String("BodyValidator"), &awsapigateway.RequestValidatorOptions{
		ValidateRequestBody: jsii.Bool(true),
	})
	collection := api.Root().AddResource(jsii.String("orders"), nil)
	addCreateOrder(collection, newModel(api, "Order", orderSchema()), body, templates, createOrderRole(scope, orders, box))
	one := collection.AddResource(jsii.String("{id}"), nil)
	addGetOrder(one, templates, getOrderRole(scope, orders))
	addUpdateOrder(one, newModel(api, "OrderStatus", orderStatusSchema()), body, newUpdateOrder(scope, orders, box, env))
	return api
}

func newModel(api awsapigateway.RestApi, id string, schema *awsapigateway.JsonSchema) awsapigateway.IModel {
	return api.AddModel(jsii.String(id), &awsapigateway.ModelOptions{ContentType: jsii.String(jsonType), Schema: schema})
}

func addCreateOrder(orders awsapigateway.Resource, model awsapigateway.IModel, body awsapigateway.IRequestValidator, templates mapping, role awsiam.IRole) {
	integration := dynamoDB("TransactWriteItems", role, templates.render("create_order_request.vtl"),
		response("201", "200", templates.render("create_order_created.vtl")),
		unavailable(templates),
		// Without a pattern it is for every other status: what is not known to be a success is none.
		response("500", "", templates.render("create_order_refused.vtl")),
	)
	orders.AddMethod(jsii.String("POST"), integration, &awsapigateway.MethodOptions{
		OperationName:     jsii.String("CreateOrder"),
		RequestParameters: &map[string]*bool{"method.request.header.Idempotency-Key": jsii.Bool(false)},
		RequestModels:     &map[string]awsapigateway.IModel{jsonType: model},
		RequestValidator:  body,
		MethodResponses:   methodResponses("201"),
	})
}

func addGetOrder(order awsapigateway.Resource, templates mapping, role awsiam.IRole) {
	integration := dynamoDB("Query", role, templates.render("get_order_request.vtl"),
		response("200", "200", templates.render("get_order_found.vtl")),
		unavailable(templates),
		response("500", "", templates.render("get_order_refused.vtl")),
	)
	order.AddMethod(jsii.String("GET"), integration, &awsapigateway.MethodOptions{
		OperationName:     jsii.String("GetOrder"),
		RequestParameters: &map[string]*bool{"method.request.path.id": jsii.Bool(true)},
		MethodResponses:   methodResponses("200"),
	})
}

// addUpdateOrder leaves a missing If-Match to the function, which answers with 428 and says what to send.
func addUpdateOrder(order awsapigateway.Resource, model awsapigateway.IModel, body awsapigateway.IRequestValidator, function awslambda.IFunction) {
	integration := awsapigateway.NewLambdaIntegration(function, &awsapigateway.LambdaIntegrationOptions{
		AllowTestInvoke: jsii.Bool(false), // the console's test button needs a permission of its own
	})
	order.AddMethod(jsii.String("PATCH"), integration, &awsapigateway.MethodOptions{
		OperationName: jsii.String("UpdateOrder"),
		RequestParameters: &map[string]*bool{
			"method.request.path.id":         jsii.Bool(true),
			"method.request.header.If-Match": jsii.Bool(false),
		},
		RequestModels:    &map[string]awsapigateway.IModel{jsonType: model},
		RequestValidator: body,
	})
}

// dynamoDB returns a direct integration with one DynamoDB action. A body of another content type than JSON is answered
// with 415: no validator runs for it.
// Source: API Gateway developer guide, integration-passthrough-behaviors.
func dynamoDB(action string, role awsiam.IRole, request string, responses ...*awsapigateway.IntegrationResponse) awsapigateway.Integration {
	return awsapigateway.NewAwsIntegration(&awsapigateway.AwsIntegrationProps{
		Service: jsii.String("dynamodb"),
		Action:  jsii.String(action),
		Options: &awsapigateway.IntegrationOptions{
			CredentialsRole:      role,
			PassthroughBehavior:  awsapigateway.PassthroughBehavior_NEVER,
			RequestTemplates:     &map[string]*string{jsonType: jsii.String(request)},
			IntegrationResponses: &responses,
		},
	})
}

// response answers with status when the status of DynamoDB's answer matches the pattern; without one it is the default.
func response(status, pattern, body string) *awsapigateway.IntegrationResponse {
	r := &awsapigateway.IntegrationResponse{
		StatusCode:        jsii.String(status),
		ResponseTemplates: &map[string]*string{jsonType: jsii.String(body)},
	}
	if pattern != "" {
		r.SelectionPattern = jsii.String(pattern)
	}
	return r
}

// unavailable returns the answer to DynamoDB's 5xx: the client may repeat the request.
func unavailable(templates mapping) *awsapigateway.IntegrationResponse {
	r := response("503", `5\d{2}`, templates.render("store_unavailable.vtl"))
	r.ResponseParameters = &map[string]*string{"method.response.header.Retry-After": jsii.String("'1'")}
	return r
}

// methodResponses declares the answers that integration responses start from; the mapping templates override the
// status where they know better.
func methodResponses(success string) *[]*awsapigateway.MethodResponse {
	return &[]*awsapigateway.MethodResponse{
		{StatusCode: jsii.String(success)},
		{StatusCode: jsii.String("500")},
		{
			StatusCode:         jsii.String("503"),
			ResponseParameters: &map[string]*bool{"method.response.header.Retry-After": jsii.Bool(true)},
		},
	}
}

// createOrderRole adds the role that may put an order and its event, in one transaction only.
func createOrderRole(scope constructs.Construct, orders awsdynamodb.ITable, box *outbox.TransactionalOutbox) awsiam.IRole {
	role := apiRole(scope, "CreateOrderRole")
	outbox.GrantTransactionWrites(orders, role, outbox.TransactAction_PUT)
	box.GrantWrite(role)
	return role
}

func getOrderRole(scope constructs.Construct, orders awsdynamodb.ITable) awsiam.IRole {
	role := apiRole(scope, "GetOrderRole")
	role.AddToPolicy(allow("dynamodb:Query", orders))
	return role
}

func apiRole(scope constructs.Construct, id string) awsiam.Role {
	return awsiam.NewRole(scope, jsii.String(id), &awsiam.RoleProps{
		AssumedBy: awsiam.NewServicePrincipal(jsii.String("apigateway.amazonaws.com"), nil),
	})
}
