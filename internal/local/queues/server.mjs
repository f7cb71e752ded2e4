// Runs the SQS of fauxqs on 127.0.0.1, with durable messages. Arguments: the folder of the fauxqs package, the data
// folder, the port (0: the system chooses), the URL that checks permissions (empty: none are checked). It prints one line of JSON: {"port": n} when it is ready, {"error": code}
// when it cannot listen.
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
const { SqsQueue, SqsStore } = await load("sqs/sqsStore.js");
const { INVALID_MESSAGE_BODY_CHAR } = await load("sqs/sqsTypes.js");
const { SnsStore } = await load("sns/snsStore.js");

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
    const answer = await fetch(permissions, { method: "POST", headers: { authorization, "x-amz-target": target }, body });
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

// A long poll whose client has gone away must not receive messages: they would be in flight for nobody.
const request = new AsyncLocalStorage();
app.addHook("onRequest", (req, _reply, next) => request.run(req, next));
const dequeue = SqsQueue.prototype.dequeue;
SqsQueue.prototype.dequeue = function (...args) {
  return request.getStore()?.socket.destroyed ? [] : dequeue.apply(this, args);
};

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
