// Runs a Node.js handler against the Lambda Runtime API, as Lambda's own runtime does. The one argument is the folder of the
// app, whose node_modules stand in for the SDK that Lambda's runtime brings along.
import { existsSync } from "node:fs";
import http from "node:http";
import module from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { format } from "node:util";

const env = process.env;
const app = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let requestId;

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

// The packages that Lambda's runtime brings along.
// Source: Lambda developer guide, lambda-nodejs, "Runtime-included SDK versions".
const supplied = /^(@aws-sdk|@smithy)\//;

// supplySDK finds those packages in the app when the function's own folders do not have them.
function supplySDK() {
  if (!app || !module.registerHooks) return;
  const parentURL = pathToFileURL(path.join(app, "package.json")).href;
  const require = module.createRequire(parentURL);
  module.registerHooks({
    resolve(specifier, context, next) {
      if (!supplied.test(specifier)) return next(specifier, context);
      try {
        return next(specifier, context);
      } catch (error) {
        if (context.parentURL === parentURL) throw error;
        if (context.conditions.includes("import")) return next(specifier, { ...context, parentURL });
        return { url: pathToFileURL(require.resolve(specifier)).href, shortCircuit: true };
      }
    },
  });
}

// explained tells what to do about a package that only Lambda has.
function explained(error) {
  const [, name] = /Cannot find (?:package|module) '((?:@aws-sdk|@smithy)\/[^'/]+)/.exec(error?.message ?? "") ?? [];
  if (!name) return error;
  const found = Error(`${name} comes with Lambda's ${env.AWS_EXECUTION_ENV?.replace("AWS_Lambda_", "")} runtime; here it must be in the app's node_modules: npm install --save-dev ${name}`);
  found.name = "Runtime.ImportModuleError";
  found.stack = `${found.name}: ${found.message}`; // the place of this line helps nobody
  return found;
}

const describe = (error) => ({
  errorType: error?.name ?? "Error", errorMessage: error?.message ?? String(error), trace: error?.stack?.split("\n") ?? [],
});

const levels = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
const isJSON = env.AWS_LAMBDA_LOG_FORMAT === "JSON";
const least = isJSON ? Math.max(0, levels.indexOf(env.AWS_LAMBDA_LOG_LEVEL ?? "INFO")) : 0;

// log writes one entry of the function's log, in one line.
// Source: Lambda developer guide, nodejs-logging, and monitoring-cloudwatchlogs-logformat, "Example JSON format application logs".
function log(level, values) {
  if (levels.indexOf(level) < least) return;
  const line = isJSON ? JSON.stringify(entry(level, values)) : [new Date().toISOString(), requestId ?? "undefined", level, format(...values)].join("\t");
  process.stdout.write(line.replaceAll("\n", "\r") + "\n");
}

function entry(level, values) {
  const result = { timestamp: new Date().toISOString(), level, requestId };
  const error = values.find((value) => value instanceof Error);
  result.message = values.length === 1 && !error ? values[0] : format(...values);
  if (error) {
    const { errorType, errorMessage, trace } = describe(error);
    Object.assign(result, { errorType, errorMessage, stackTrace: trace });
  }
  return result;
}

// patchConsole makes the console write entries of Lambda's format.
function patchConsole() {
  for (const [method, level] of Object.entries({ trace: "TRACE", debug: "DEBUG", log: "INFO", info: "INFO", warn: "WARN", error: "ERROR" })) {
    console[method] = (...values) => log(level, values);
  }
}

// logFailure logs what the handler threw.
const logFailure = (error) => (isJSON ? log("ERROR", [error]) : log("ERROR", ["Invoke Error", "\t" + JSON.stringify(describe(error))]));

// load finds the function that "folder/file.name" means.
async function load() {
  const [, file, name] = /^(.+)\.([^./]+)$/.exec(env._HANDLER) ?? [];
  const base = path.join(env.LAMBDA_TASK_ROOT, file ?? "");
  const found = [".js", ".mjs", ".cjs"].map((extension) => base + extension).find(existsSync);
  if (!file || !found) throw new Error(`handler ${env._HANDLER}: there is no ${file ?? "file"}.js, .mjs or .cjs in ${env.LAMBDA_TASK_ROOT}`);
  const loaded = await import(pathToFileURL(found).href);
  const handler = loaded[name] ?? loaded.default?.[name];
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

supplySDK();
patchConsole();
let handler;
try {
  handler = await load();
} catch (error) {
  const found = explained(error);
  console.error("Uncaught Exception", "\t" + JSON.stringify(describe(found)));
  await call("POST", "init/error", JSON.stringify(describe(found)));
  process.exit(1);
}
for (;;) {
  const { headers, body } = await call("GET", "invocation/next");
  env._X_AMZN_TRACE_ID = headers["lambda-runtime-trace-id"];
  requestId = headers["lambda-runtime-aws-request-id"];
  let outcome;
  try {
    const result = await invoke(handler, JSON.parse(body), contextOf(headers));
    outcome = ["response", JSON.stringify(result) ?? "null"];
  } catch (error) {
    const found = explained(error);
    logFailure(found);
    outcome = ["error", JSON.stringify(describe(found))];
  }
  await call("POST", `invocation/${requestId}/${outcome[0]}`, outcome[1]);
}
