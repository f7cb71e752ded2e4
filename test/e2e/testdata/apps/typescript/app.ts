// A shop: an order that the API has written to the table reaches the bus by a pipe, and from there a consumer; a function
// on the same stream tells a second one. The cloud assembly beside it is made of this file:
//
//	npm install aws-cdk-lib constructs tsx && cdk synth --output assembly
import { App, CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import * as apigateway from 'aws-cdk-lib/aws-apigateway';
import * as acm from 'aws-cdk-lib/aws-certificatemanager';
import * as dynamodb from 'aws-cdk-lib/aws-dynamodb';
import * as events from 'aws-cdk-lib/aws-events';
import * as targets from 'aws-cdk-lib/aws-events-targets';
import * as iam from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as sources from 'aws-cdk-lib/aws-lambda-event-sources';
import * as pipes from 'aws-cdk-lib/aws-pipes';
import * as sqs from 'aws-cdk-lib/aws-sqs';

const app = new App({ treeMetadata: false });
const stack = new Stack(app, 'Shop');

const table = new dynamodb.Table(stack, 'Orders', {
  partitionKey: { name: 'id', type: dynamodb.AttributeType.STRING },
  billingMode: dynamodb.BillingMode.PAY_PER_REQUEST,
  stream: dynamodb.StreamViewType.NEW_IMAGE,
});
const bus = new events.EventBus(stack, 'Bus');

function nodeFunction(id: string, handler: string, environment?: Record<string, string>): lambda.Function {
  return new lambda.Function(stack, id, {
    runtime: lambda.Runtime.NODEJS_22_X,
    code: lambda.Code.fromAsset('functions'),
    handler,
    environment,
    timeout: Duration.seconds(30),
  });
}

function queueOf(id: string, consumer: lambda.Function): sqs.Queue {
  const queue = new sqs.Queue(stack, id, { visibilityTimeout: Duration.minutes(3) });
  consumer.addEventSource(new sources.SqsEventSource(queue, { reportBatchItemFailures: true }));
  return queue;
}

// The API writes the order.
const writer = new iam.Role(stack, 'Writer', { assumedBy: new iam.ServicePrincipal('apigateway.amazonaws.com') });
table.grantWriteData(writer);
const api = new apigateway.RestApi(stack, 'Api', {
  deployOptions: { stageName: 'dev' },
  domainName: {
    domainName: 'api.example.com',
    basePath: 'shop',
    certificate: new acm.Certificate(stack, 'Certificate', { domainName: 'api.example.com' }),
    endpointType: apigateway.EndpointType.REGIONAL,
  },
});
const model = api.addModel('Order', {
  schema: { type: apigateway.JsonSchemaType.OBJECT, required: ['customer'], properties: { customer: { type: apigateway.JsonSchemaType.STRING } } },
});
const put = new apigateway.AwsIntegration({
  service: 'dynamodb',
  action: 'PutItem',
  options: {
    credentialsRole: writer,
    passthroughBehavior: apigateway.PassthroughBehavior.NEVER,
    requestTemplates: {
      'application/json': JSON.stringify({
        TableName: table.tableName,
        Item: { id: { S: '$context.requestId' }, customer: { S: "$input.path('$.customer')" } },
      }),
    },
    integrationResponses: [
      { statusCode: '500' },
      { statusCode: '201', selectionPattern: '200', responseTemplates: { 'application/json': '{"id": "$context.requestId"}' } },
    ],
  },
});
api.root.addResource('orders').addMethod('POST', put, {
  requestModels: { 'application/json': model },
  requestValidatorOptions: { validateRequestBody: true },
  methodResponses: [{ statusCode: '201' }, { statusCode: '500' }],
});

// A pipe brings it to the bus, and a rule to the consumer's queue.
const reader = new iam.Role(stack, 'Reader', { assumedBy: new iam.ServicePrincipal('pipes.amazonaws.com') });
const pipe = new pipes.CfnPipe(stack, 'Pipe', {
  roleArn: reader.roleArn,
  source: table.tableStreamArn!,
  sourceParameters: { dynamoDbStreamParameters: { startingPosition: 'TRIM_HORIZON' } },
  target: bus.eventBusArn,
  targetParameters: {
    eventBridgeEventBusParameters: { source: 'shop', detailType: 'OrderPlaced' },
    inputTemplate: '{"id": "<$.dynamodb.Keys.id.S>", "customer": "<$.dynamodb.NewImage.customer.S>"}',
  },
});
pipe.node.addDependency(table.grantStreamRead(reader), bus.grantPutEventsTo(reader));
const shipments = queueOf('Shipments', nodeFunction('Ship', 'ship.handler'));
new events.Rule(stack, 'OrderPlaced', {
  eventBus: bus,
  eventPattern: { source: ['shop'], detailType: ['OrderPlaced'] },
  targets: [new targets.SqsQueue(shipments)],
});

// A function on the stream sends a message by itself.
const mails = queueOf('Mails', nodeFunction('Mail', 'mail.handler'));
const thank = nodeFunction('Thank', 'thank.handler', { MAILS: mails.queueUrl });
mails.grantSendMessages(thank);
thank.addEventSource(new sources.DynamoEventSource(table, { startingPosition: lambda.StartingPosition.TRIM_HORIZON }));

new CfnOutput(stack, 'Orders_', { key: 'OrdersUrl', value: 'https://api.example.com/shop/orders' });
