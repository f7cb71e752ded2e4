// Thanks for each order of the stream by a message to the mails' queue.
import { SendMessageCommand, SQSClient } from '@aws-sdk/client-sqs';

const sqs = new SQSClient();

export async function handler(event) {
  for (const { dynamodb } of event.Records) {
    const MessageBody = JSON.stringify({ id: dynamodb.NewImage.id.S, to: dynamodb.NewImage.customer.S });
    await sqs.send(new SendMessageCommand({ QueueUrl: process.env.MAILS, MessageBody }));
  }
}
