"""A shop whose API is an OpenAPI document: an order that it has written to the table reaches a queue by a pipe, and from
there a consumer; a function behind the API and a URL of its own answers questions. The cloud assembly beside it is made
of this file:

    pip install aws-cdk-lib && cdk synth --output assembly
"""

from aws_cdk import App, Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_apigateway as apigateway
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_pipes as pipes
from aws_cdk import aws_sqs as sqs

app = App(tree_metadata=False)
stack = Stack(app, "Shop")

table = dynamodb.Table(
    stack,
    "Orders",
    partition_key=dynamodb.Attribute(name="id", type=dynamodb.AttributeType.STRING),
    billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
    stream=dynamodb.StreamViewType.NEW_IMAGE,
)


def function(name: str, handler: str) -> lambda_.Function:
    return lambda_.Function(
        stack,
        name,
        runtime=lambda_.Runtime.PYTHON_3_13,
        code=lambda_.Code.from_asset("functions"),
        handler=handler,
        timeout=Duration.seconds(30),
    )


# The API: one method writes to the table, the other one asks a function.
greet = function("Greet", "greet.handler")
writer = iam.Role(stack, "Writer", assumed_by=iam.ServicePrincipal("apigateway.amazonaws.com"))
table.grant_write_data(writer)
put_order = {
    "TableName": table.table_name,
    "Item": {"id": {"S": "$context.requestId"}, "customer": {"S": "$input.path('$.customer')"}},
}
document = {
    "openapi": "3.0.1",
    "info": {"title": "shop", "version": "1"},
    "x-amazon-apigateway-request-validators": {
        "all": {"validateRequestBody": True, "validateRequestParameters": True},
    },
    "x-amazon-apigateway-request-validator": "all",
    "x-amazon-apigateway-gateway-responses": {
        "BAD_REQUEST_BODY": {
            "responseTemplates": {"application/json": '{"wrong": "$context.error.validationErrorString"}'},
        },
    },
    "paths": {
        "/orders": {
            "post": {
                "requestBody": {
                    "required": True,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Order"}}},
                },
                "responses": {"201": {"description": "written"}, "500": {"description": "not written"}},
                "x-amazon-apigateway-integration": {
                    "type": "aws",
                    "httpMethod": "POST",
                    "uri": f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}:dynamodb:action/PutItem",
                    "credentials": writer.role_arn,
                    "passthroughBehavior": "never",
                    "requestTemplates": {"application/json": stack.to_json_string(put_order)},
                    "responses": {
                        "200": {
                            "statusCode": "201",
                            "responseTemplates": {"application/json": '{"id": "$context.requestId"}'},
                        },
                        "default": {"statusCode": "500"},
                    },
                },
            },
        },
        "/greetings/{name}": {
            "get": {
                "parameters": [
                    {"name": "name", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "language", "in": "query", "required": True, "schema": {"type": "string"}},
                ],
                "responses": {},
                "x-amazon-apigateway-integration": {
                    "type": "aws_proxy",
                    "httpMethod": "POST",
                    "uri": f"arn:{Aws.PARTITION}:apigateway:{Aws.REGION}:lambda:path/2015-03-31/functions/{greet.function_arn}/invocations",
                },
            },
        },
    },
    "components": {
        "schemas": {
            "Customer": {"type": "string", "minLength": 1},
            "Order": {
                "type": "object",
                "required": ["customer"],
                "properties": {"customer": {"$ref": "#/components/schemas/Customer"}},
            },
        },
    },
}
api = apigateway.SpecRestApi(
    stack,
    "Api",
    api_definition=apigateway.ApiDefinition.from_inline(document),
    deploy_options=apigateway.StageOptions(stage_name="dev"),
)
greet.add_permission(
    "Api",
    principal=iam.ServicePrincipal("apigateway.amazonaws.com"),
    source_arn=api.arn_for_execute_api("GET", "/greetings/*", "dev"),
)

# The same function answers at a URL of its own.
url = greet.add_function_url(
    auth_type=lambda_.FunctionUrlAuthType.NONE,
    cors=lambda_.FunctionUrlCorsOptions(
        allowed_origins=["http://localhost:3000"], allowed_methods=[lambda_.HttpMethod.GET]
    ),
)

# A pipe brings the order to the consumer's queue.
queue = sqs.Queue(stack, "Shipments", visibility_timeout=Duration.minutes(3))
reader = iam.Role(stack, "Reader", assumed_by=iam.ServicePrincipal("pipes.amazonaws.com"))
pipe = pipes.CfnPipe(
    stack,
    "Pipe",
    role_arn=reader.role_arn,
    source=table.table_stream_arn,
    source_parameters=pipes.CfnPipe.PipeSourceParametersProperty(
        dynamo_db_stream_parameters=pipes.CfnPipe.PipeSourceDynamoDBStreamParametersProperty(
            starting_position="TRIM_HORIZON"
        ),
    ),
    target=queue.queue_arn,
    target_parameters=pipes.CfnPipe.PipeTargetParametersProperty(
        input_template='{"id": "<$.dynamodb.Keys.id.S>", "customer": "<$.dynamodb.NewImage.customer.S>"}',
    ),
)
pipe.node.add_dependency(table.grant_stream_read(reader), queue.grant_send_messages(reader))
ship = function("Ship", "ship.handler")
ship.add_event_source(sources.SqsEventSource(queue, report_batch_item_failures=True))

CfnOutput(stack, "GreetUrl", value=url.url)
app.synth()
