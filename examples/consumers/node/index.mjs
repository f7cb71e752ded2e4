// A consumer for Node.js: it reads the envelope that docs/envelope.md describes, and needs no library.

/** Handles a batch of the consumer's queue. What fails is reported alone, so that only it comes back. */
export async function handler(event) {
  const batchItemFailures = [];
  for (const message of event.Records) {
    try {
      await handle(decode(message.body));
    } catch (error) { // whatever it is, the other messages of the batch go on
      console.log(JSON.stringify({ message: 'failed', messageId: message.messageId, error: String(error) }));
      batchItemFailures.push({ itemIdentifier: message.messageId });
    }
  }
  return { batchItemFailures };
}

/**
 * The place for your effect. Delivery is at least once: keep event.source and event.id with the effect, in one
 * transaction, and skip an event that is there already.
 */
async function handle(event) {
  console.log(JSON.stringify({ message: 'handled', ...event }));
}

/** Returns the event in the body of a queue message. */
function decode(body) {
  const { source, detail } = JSON.parse(body);
  const data = plain(detail.data);
  return {
    source,
    id: plain(detail.id),
    type: plain(detail.type),
    aggregateType: plain(detail.aggregateType),
    aggregateId: plain(detail.aggregateId),
    version: whole(detail.version),
    occurredAt: whole(detail.occurredAt), // epoch milliseconds
    data: typeof data === 'string' ? JSON.parse(data) : data,
    traceparent: plain(detail.traceparent ?? ''),
    correlationId: plain(detail.correlationId ?? detail.id),
    causationId: plain(detail.causationId ?? ''),
  };
}

/** Takes a value out of DynamoDB's form, {"S": "…"} or {"N": "…"}; returns any other value as it is. */
function plain(value) {
  if (value !== null && typeof value === 'object' && Object.keys(value).length === 1) {
    for (const kind of ['S', 'N']) {
      if (typeof value[kind] === 'string') return value[kind];
    }
  }
  return value;
}

function whole(value) {
  const number = Number(plain(value));
  if (!Number.isSafeInteger(number)) throw new Error(`a whole number is needed, got ${JSON.stringify(value)}`);
  return number;
}
