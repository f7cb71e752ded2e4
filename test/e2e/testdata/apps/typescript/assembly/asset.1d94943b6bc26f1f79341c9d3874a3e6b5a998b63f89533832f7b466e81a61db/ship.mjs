// Ships the orders that a rule has sent to the queue.
export async function handler(event) {
  for (const { body } of event.Records) {
    const { detail } = JSON.parse(body);
    console.log(`shipped ${detail.id} to ${detail.customer}`);
  }
  return { batchItemFailures: [] };
}
