exports.handler = (event, context, callback) => {
  setImmediate(() => (event.fail ? callback(new Error(event.fail)) : callback(null, { hello: event.name })));
};
