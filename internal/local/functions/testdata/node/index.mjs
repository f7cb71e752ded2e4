// loaded tells the warm environment from a new one.
let calls = 0;

export const handler = async (event, context) => {
  calls++;
  if (event.fail) throw new TypeError(event.fail);
  if (event.nothing) return undefined;
  console.log("saw", event.name);
  return { hello: event.name, calls, id: context.awsRequestId, left: context.getRemainingTimeInMillis() > 0, trace: process.env._X_AMZN_TRACE_ID, env: process.env.AWS_EXECUTION_ENV };
};
