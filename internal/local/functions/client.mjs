// Runs a Node.js handler against the Lambda Runtime API, as Lambda's own runtime does.
import { existsSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { pathToFileURL } from "node:url";

const env = process.env;
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// call sends one request to the Runtime API and resolves to its headers and body.
function call(method, resource, body) {
  return new Promise((resolve, reject) => {
    const request = http.request(`http://${env.AWS_LAMBDA_RUNTIME_API}/2018-06-01/runtime/${resource}`, { method, agent }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

const describe = (error) =>
  JSON.stringify({ errorType: error?.name ?? "Error", errorMessage: error?.message ?? String(error), trace: error?.stack?.split("\n") ?? [] });

// load finds the function that "folder/file.name" means.
async function load() {
  const [, file, name] = /^(.+)\.([^./]+)$/.exec(env._HANDLER) ?? [];
  const base = path.join(env.LAMBDA_TASK_ROOT, file ?? "");
  const found = [".js", ".mjs", ".cjs"].map((extension) => base + extension).find(existsSync);
  if (!file || !found) throw new Error(`handler ${env._HANDLER}: there is no ${file ?? "file"}.js, .mjs or .cjs in ${env.LAMBDA_TASK_ROOT}`);
  const module = await import(pathToFileURL(found).href);
  const handler = module[name] ?? module.default?.[name];
  if (typeof handler !== "function") throw new Error(`handler ${env._HANDLER}: ${path.basename(found)} exports no function ${name}`);
  return handler;
}

function contextOf(headers) {
  return {
    awsRequestId: headers["lambda-runtime-aws-request-id"],
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    getRemainingTimeInMillis: () => Number(headers["lambda-runtime-deadline-ms"]) - Date.now(),
  };
}

// invoke runs the handler, in its async form or with a callback as third parameter.
async function invoke(handler, event, context) {
  if (handler.length < 3) return handler(event, context);
  return new Promise((resolve, reject) => {
    handler(event, context, (error, result) => (error ? reject(error) : resolve(result)));
  });
}

let handler;
try {
  handler = await load();
} catch (error) {
  console.error(error);
  await call("POST", "init/error", describe(error));
  process.exit(1);
}
for (;;) {
  const { headers, body } = await call("GET", "invocation/next");
  env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  const invocation = `invocation/${headers["lambda-runtime-aws-request-id"]}`;
  let outcome;
  try {
    const result = await invoke(handler, JSON.parse(body), contextOf(headers));
    outcome = ["response", JSON.stringify(result) ?? "null"];
  } catch (error) {
    console.error(error);
    outcome = ["error", describe(error)];
  }
  await call("POST", `${invocation}/${outcome[0]}`, outcome[1]);
}
