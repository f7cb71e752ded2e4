// Runs the SQS of fauxqs on 127.0.0.1, with durable messages. Arguments: the folder of the fauxqs package, the data
// folder, the port (0: the system chooses), the URL that checks permissions (empty: none are checked). It prints one line of JSON: {"port": n} when it is ready, {"error": code}
// when it cannot listen; then one for each message that moves to a dead-letter queue: {"source": arn, "target": arn, "body": text, "receives": n}.
//
// The startFauxqs of fauxqs listens on all interfaces and answers before a change is on disk, so this file assembles
// its modules instead. "Fixes" lists what it changes in them, each with its reason (fauxqs 2.4.1).
import { AsyncLocalStorage } from "node:async_hooks";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [fauxqs, data, port, permissions] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(join(fauxqs, "dist", file)));
const { buildApp } = await load("app.js");
const { PersistenceManager } = await load("persistence.js");
const { SqsError } = await load("common/errors.js");
const { SqsQueue, SqsStore } = await load("sqs/sqsStore.js");
const { INVALID_MESSAGE_BODY_CHAR } = await load("sqs/sqsTypes.js");
const { SnsStore } = await load("sns/snsStore.js");

// The clock of the queues, which Advance sets forward.
const machineNow = Date.now;
let ahead = 0;
Date.now = () => machineNow() + ahead;

const disk = new PersistenceManager(data);
const store = new SqsStore();
store.host = ""; // queue URLs then use the host of the request instead of sqs.<region>.localhost
disk.loadSqsAndSns(store, new SnsStore());
store.persistence = disk;
for (const queue of store.allQueues()) queue.persistence = disk;

const app = buildApp({ logger: false, stores: { sqsStore: store } });
// The SDK must never write into a connection that is being closed for idleness.
app.server.keepAliveTimeout = 0;

// --- Durability: group commit --------------------------------------------------------------------
// A transaction is always open. Every response waits for a commit, and one commit, with one fsync, serves all
// requests that were handled since the last one. So nothing is acknowledged that kill -9 or a power cut could undo,
// and what one request changes is one transaction: a message cannot be lost while it moves to a dead-letter queue.
disk.db.exec("PRAGMA synchronous = FULL");
disk.db.exec("BEGIN");
let commit;
const committed = () =>
  (commit ??= new Promise((resolve) =>
    setImmediate(() => {
      commit = undefined;
      // A commit that fails ends the process, because memory is then ahead of the disk.
      disk.db.exec("COMMIT");
      disk.db.exec("BEGIN");
      resolve();
    }),
  ));
app.addHook("onSend", async () => committed());

// --- Permissions ---------------------------------------------------------------------------------
// A call with the key of a role is handled once its permissions are checked. Other keys are the developer's.
if (permissions) {
  app.addHook("preHandler", async (req, reply) => {
    const { authorization = "", "x-amz-target": target = "" } = req.headers;
    if (!authorization.includes("Credential=ASIA")) return;
    const body = JSON.stringify(req.body);
    const answer = await fetch(permissions, { method: "POST", headers: { authorization, "content-type": "application/x-amz-json-1.0", "x-amz-target": target }, body });
    if (answer.status === 204) return;
    const refusal = await answer.json();
    return reply
      .code(refusal.status)
      .headers({ ...refusal.headers, "content-type": "application/x-amz-json-1.0" })
      .send(JSON.stringify(refusal.body));
  });
}

// --- Fixes ---------------------------------------------------------------------------------------
// fauxqs checks UTF-16 units one by one and so refuses every character beyond U+FFFF, for example emoji.
// Allowed are #x9 | #xA | #xD | #x20-#xD7FF | #xE000-#xFFFD | #x10000-#x10FFFF. (SQS API reference, SendMessage)
const notAllowed = /[^\x09\x0A\x0D\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u;
INVALID_MESSAGE_BODY_CHAR.test = (body) => notAllowed.test(body);

// fauxqs writes NULL into a NOT NULL column when a visibility timeout is set to 0, and loses the message until a restart.
const ready = disk.db.prepare("UPDATE sqs_messages SET receipt_handle = NULL, visibility_deadline = NULL WHERE message_id = ?");
disk.updateMessageReady = (id) => ready.run(id);

// The request that is being handled.
const request = new AsyncLocalStorage();
app.addHook("onRequest", (req, _reply, next) => request.run(req, next));
const operation = (req) => String(req.headers["x-amz-target"]).replace("AmazonSQS.", "");

// A long poll whose client has gone away must not receive messages: they would be in flight for nobody.
// A move to the dead-letter queue is no receive, and the message keeps the queue from which it came.
// (SQS API reference, ReceiveMessage, DeadLetterQueueSourceArn)
const dequeue = SqsQueue.prototype.dequeue;
SqsQueue.prototype.dequeue = function (limit, visibility, resolve) {
  if (request.getStore()?.socket.destroyed) return [];
  return dequeue.call(this, limit, visibility, (arn) => {
    const target = resolve(arn);
    return target && { enqueue: (message) => target.enqueue(deadLetter(message, this.arn, target.arn)) };
  });
};

function deadLetter(message, source, target) {
  message.approximateReceiveCount--;
  console.log(JSON.stringify({ source, target, body: message.body, receives: message.approximateReceiveCount }));
  message.extras = { ...message.extras, DeadLetterQueueSourceArn: source };
  return message;
}

// fauxqs gives one message of a group at a time. SQS gives as many as fit, then those of the next group.
// (SQS developer guide, FIFO-queues-understanding-logic)
const dequeueOne = SqsQueue.prototype.dequeueFifo;
SqsQueue.prototype.dequeueFifo = function (limit, visibility, resolve) {
  if (Number(visibility ?? this.attributes.VisibilityTimeout) === 0) return dequeueOne.call(this, limit, visibility, resolve);
  const received = [];
  const locked = new Map(); // group → how many messages of it this receive has
  while (received.length < Math.min(limit, 10)) {
    const [next] = dequeueOne.call(this, 1, visibility, resolve);
    if (!next) break;
    received.push(next);
    const group = this.inflightMessages.get(next.ReceiptHandle).message.messageGroupId;
    locked.set(group, (locked.get(group) ?? 0) + 1);
    this.fifoLockedGroups.delete(group); // open for the next turn
  }
  for (const [group, n] of locked) this.fifoLockedGroups.set(group, n);
  return received;
};

// fauxqs puts messages of a group that become visible together back in the reverse order.
const bySequence = (a, b) => (a.sequenceNumber < b.sequenceNumber ? -1 : 1);
const changeVisibility = SqsQueue.prototype.changeVisibility;
SqsQueue.prototype.changeVisibility = function (handle, seconds) {
  const group = this.inflightMessages.get(handle)?.message.messageGroupId;
  changeVisibility.call(this, handle, seconds);
  if (this.isFifo()) this.fifoMessages.get(group)?.sort(bySequence);
};

// A receipt handle of a FIFO queue that has expired cannot delete the message. (SQS API reference, DeleteMessage: the
// handle must be used before the visibility timeout expires.)
const maxExpired = 10_000;
const processTimers = SqsQueue.prototype.processTimers;
SqsQueue.prototype.processTimers = function () {
  if (!this.isFifo()) return processTimers.call(this);
  this.expired ??= new Set();
  const now = Date.now();
  const groups = new Set();
  for (const [handle, { message, visibilityDeadline }] of this.inflightMessages) {
    if (visibilityDeadline > now) continue;
    groups.add(message.messageGroupId);
    this.expired.add(handle);
    if (this.expired.size > maxExpired) this.expired.delete(this.expired.values().next().value);
  }
  processTimers.call(this);
  for (const group of groups) this.fifoMessages.get(group)?.sort(bySequence);
};
const deleteMessage = SqsQueue.prototype.deleteMessage;
SqsQueue.prototype.deleteMessage = function (handle) {
  if (this.isFifo()) this.processTimers();
  if (!this.expired?.has(handle)) return deleteMessage.call(this, handle);
  const { body } = request.getStore();
  const message = `Value ${handle} for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.`;
  const entry = body.Entries?.find((e) => e.ReceiptHandle === handle);
  if (!entry) throw new SqsError("InvalidParameterValue", message);
  entry.refusal = { Id: entry.Id, SenderFault: true, Code: "InvalidParameterValue", Message: message };
  return false;
};
// Nor can an expired handle change the visibility timeout; fauxqs notices only at the next receive.
app.addHook("preHandler", async (req) => {
  if (operation(req).startsWith("ChangeMessageVisibility")) store.getQueue(req.body?.QueueUrl ?? "")?.processTimers();
});

// fauxqs drops the group id of a message in a standard queue and the trace header. The header of the request counts
// where the message has none. (SQS developer guide, sqs-monitoring-x-ray)
const createMessage = SqsStore.createMessage;
SqsStore.createMessage = (body, ...rest) => {
  const message = createMessage(body, ...rest);
  const req = request.getStore();
  const entries = req?.body?.Entries ?? [req?.body];
  const entry = entries.find((e) => e?.MessageBody === body && !e.taken);
  if (!entry) return message;
  entry.taken = true;
  message.messageGroupId ??= entry.MessageGroupId;
  const trace = entry.MessageSystemAttributes?.AWSTraceHeader?.StringValue ?? req.headers["x-amzn-trace-id"];
  if (trace) message.extras = { AWSTraceHeader: trace };
  return message;
};

// What fauxqs' table has no column for.
disk.db.exec(`
  CREATE TABLE IF NOT EXISTS message_extras (message_id TEXT PRIMARY KEY, extras TEXT NOT NULL);
  CREATE TRIGGER IF NOT EXISTS forget_extras AFTER DELETE ON sqs_messages
    BEGIN DELETE FROM message_extras WHERE message_id = OLD.message_id; END;`);
const insertExtras = disk.db.prepare("INSERT OR REPLACE INTO message_extras VALUES (?, ?)");
const insertMessage = disk.insertMessage;
disk.insertMessage = (queue, message) => {
  insertMessage.call(disk, queue, message);
  if (message.extras) insertExtras.run(message.messageId, JSON.stringify(message.extras));
};
const extras = new Map(disk.db.prepare("SELECT * FROM message_extras").all().map((row) => [row.message_id, row.extras]));
for (const queue of store.allQueues()) {
  const { ready, delayed, inflight } = queue.inspectMessages();
  for (const message of [...ready, ...delayed, ...inflight.map((entry) => entry.message)]) {
    if (extras.has(message.messageId)) message.extras = JSON.parse(extras.get(message.messageId));
  }
  // fauxqs reads messages in the order of their ids.
  for (const group of queue.fifoMessages.values()) group.sort(bySequence);
}
app.addHook("preSerialization", async (req, _reply, payload) => {
  if (operation(req) === "ReceiveMessage") (payload.Messages ?? []).forEach((m) => addExtras(req.body, m));
  const refusals = (req.body?.Entries ?? []).map((entry) => entry.refusal).filter(Boolean);
  if (operation(req) === "DeleteMessageBatch" && refusals.length > 0) {
    payload.Successful = payload.Successful.filter(({ Id }) => !refusals.some((refusal) => refusal.Id === Id));
    payload.Failed.push(...refusals);
  }
  return payload;
});

function addExtras(body, received) {
  const wanted = [...(body.AttributeNames ?? []), ...(body.MessageSystemAttributeNames ?? [])];
  const message = store.getQueue(body.QueueUrl)?.inflightMessages.get(received.ReceiptHandle)?.message;
  for (const [name, value] of Object.entries(message?.extras ?? {})) {
    if (wanted.includes("All") || wanted.includes(name)) received.Attributes = { ...received.Attributes, [name]: value };
  }
}

// fauxqs puts a prefix before every error code of the old protocol. SQS has it before these only.
// (SQS API reference, CommonErrors, and the errors of each action)
const prefixed = new Set([
  "BatchEntryIdsNotDistinct", "BatchRequestTooLong", "EmptyBatchRequest", "InvalidBatchEntryId", "MessageNotInflight",
  "NonExistentQueue", "PurgeQueueInProgress", "QueueDeletedRecently", "TooManyEntriesInBatchRequest", "UnsupportedOperation",
]);
Object.defineProperty(SqsError.prototype, "queryErrorHeader", {
  get() {
    const code = prefixed.has(this.queryCode) ? `AWS.SimpleQueueService.${this.queryCode}` : this.queryCode;
    return `${code};${this.senderFault ? "Sender" : "Receiver"}`;
  },
});

// fauxqs never deletes old messages. SQS deletes one when its retention period, counted from the first send, is over.
setInterval(() => {
  for (const queue of store.allQueues()) expire(queue);
}, 1000).unref();

function expire(queue) {
  const oldest = Date.now() - Number(queue.attributes.MessageRetentionPeriod) * 1000;
  const fresh = (message) => message.sentTimestamp > oldest || void disk.deleteMessage(message.messageId);
  queue.messages = queue.messages.filter(fresh);
  for (const [group, messages] of queue.fifoMessages) queue.fifoMessages.set(group, messages.filter(fresh));
}

// --- Browsers ------------------------------------------------------------------------------------
// What the package guard of the local run does for its other listeners. fauxqs also takes forms, for SQS and for SNS, which
// any page may post to this port. Only the SQS of the SDKs is let in: no page can send its content type, or set the
// header with the operation, without asking first (a CORS preflight), and nobody answers.
const ownHost = /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/i;
const ownType = /^application\/x-amz-json-1\.[01]\s*(;|$)/i;
function refusal({ method, headers }) {
  const site = headers["sec-fetch-site"] ?? "none";
  if (!ownHost.test(headers.host ?? "")) return `Host must be 127.0.0.1, localhost or [::1], got "${headers.host}"`;
  if (headers.origin !== undefined) return `an AWS endpoint takes no request of a page, got one of the origin "${headers.origin}"`;
  if (site !== "none") return `Sec-Fetch-Site must be none, got "${site}"`;
  if (method !== "POST") return `the method must be POST, got ${method}`;
  if (!ownType.test(headers["content-type"] ?? "")) return `Content-Type must be application/x-amz-json-1.0, got "${headers["content-type"] ?? ""}"`;
  const target = headers["x-amz-target"] ?? "";
  if (!target.startsWith("AmazonSQS.") && !ours(target)) return `X-Amz-Target must name an operation of SQS, got "${target}"`;
}
app.addHook("onRequest", async (req, reply) => {
  const why = refusal(req);
  if (why) return reply.code(403).send({ __type: "AccessDeniedException", message: `refused by the local run: ${why}` });
  const own = ours(req.headers["x-amz-target"]);
  if (own) return reply.send(own.does(...own.words));
});

// --- What no client of SQS can ask for -----------------------------------------------------------
// X-Amz-Target is "OutboxLocal.<name>", with the name's words behind it: "OutboxLocal.Advance/60000".
function ours(target) {
  if (!target.startsWith("OutboxLocal.")) return;
  const [name, ...words] = target.replace("OutboxLocal.", "").split("/").map(decodeURIComponent);
  const does = { Depths: depths, Advance: advance, Release: release }[name];
  return does && { does, words };
}

function advance(milliseconds) {
  ahead += Number(milliseconds);
  for (const queue of store.allQueues()) {
    queue.processTimers();
    expire(queue);
  }
  return {};
}

// release makes the messages with an event visible that are in flight.
function release(name, event) {
  const queue = [...store.allQueues()].find((q) => q.name === name);
  for (const [handle, { message }] of [...(queue?.inflightMessages ?? [])]) {
    if (eventOf(message) === event) queue.changeVisibility(handle, 0);
  }
  return {};
}

// eventOf returns the id by which hops name an event: see hop.EventID.
function eventOf({ body }) {
  try {
    const { id, detail } = JSON.parse(body);
    return typeof detail?.id === "string" ? detail.id : id;
  } catch {
    return undefined;
  }
}

// What CloudWatch shows of all queues, in one answer: a client cannot ask for the age of the oldest message.
function depths() {
  return [...store.allQueues()].map((queue) => {
    const waiting = queue.isFifo() ? [...queue.fifoMessages.values()].flat() : queue.messages;
    let oldest = null;
    const look = (message) => { if (oldest === null || message.sentTimestamp < oldest) oldest = message.sentTimestamp; };
    waiting.forEach(look);
    for (const { message } of queue.inflightMessages.values()) look(message);
    return { name: queue.name, visible: waiting.length, notVisible: queue.inflightMessages.size, oldestSent: oldest };
  });
}

// --- Start ---------------------------------------------------------------------------------------
try {
  await app.listen({ host: "127.0.0.1", port: Number(port) });
} catch (failure) {
  console.log(JSON.stringify({ error: failure.code }));
  process.exit(1);
}
const chosen = app.server.address().port;
// Queues of an earlier run still have its URL, with its port.
for (const queue of [...store.allQueues()]) {
  store.queues.delete(queue.url);
  queue.url = store.buildQueueUrl(queue.name, String(chosen), `127.0.0.1:${chosen}`);
  store.queues.set(queue.url, queue);
}
console.log(JSON.stringify({ port: chosen }));
