// The context that API Gateway provides to a mapping template: $input, $util, $context, $stageVariables.
// Source: API Gateway developer guide, api-gateway-mapping-template-reference.

import { ArrayList, Host, Once, text } from './java.mjs';
import { parse, stringify } from './json.mjs';
import { select } from './jsonpath.mjs';

/** The variables of one render. */
export function variables({ body, params, context, stageVariables, overrides = {} }) {
  return {
    input: input(body, params),
    util,
    context: {
      ...context,
      requestOverride: new Once('$context.requestOverride', {
        header: new Once('$context.requestOverride.header', {}, single(overrides.requestHeader)),
        querystring: new Once('$context.requestOverride.querystring'),
        path: new Once('$context.requestOverride.path'),
      }),
      responseOverride: new Once(
        '$context.responseOverride',
        { header: new Once('$context.responseOverride.header', {}, single(overrides.header)) },
        overrides.status ? { status: overrides.status } : {},
      ),
    },
    stageVariables,
  };
}

function input(raw, params) {
  const body = raw === '' ? '{}' : raw; // API Gateway treats a missing body as {}
  let document;
  const root = () => (document ??= { value: read(body) }).value;
  return new Host('input', {
    // A path without a value results in the empty string.
    json: (_, path = '$') => {
      const value = select(root(), text(path));
      return stringify(value === undefined ? '' : value);
    },
    path: (_, path) => select(root(), text(path)),
    params: (_, name) => (name === undefined ? params : parameter(params, text(name))),
  }, { body });
}

/** A body that begins like JSON and is none. */
export class MalformedBody extends Error {}

/** A body that does not even begin like an object or a list is one string, as for Jayway's lenient parser. */
function read(body) {
  try {
    return parse(body);
  } catch (error) {
    if (/^\s*[{[]/.test(body)) throw new MalformedBody(error.message);
    return body;
  }
}

/** Searches the path, then the query string, then the headers, whose names are not case-sensitive. */
function parameter(params, name) {
  for (const values of [params.path, params.querystring]) {
    if (Object.hasOwn(values, name)) return values[name];
  }
  const header = Object.keys(params.header).find((key) => key.toLowerCase() === name.toLowerCase());
  return header === undefined ? '' : params.header[header];
}

const util = new Host('util', {
  escapeJavaScript: (_, value) => escapeJavaScript(text(value)),
  parseJson: (_, value) => parse(text(value)),
  urlEncode: (_, value) => urlEncode(text(value)),
  urlDecode: (_, value) => decodeURIComponent(text(value).replaceAll('+', ' ')),
  base64Encode: (_, value) => Buffer.from(text(value)).toString('base64'),
  base64Decode: (_, value) => Buffer.from(text(value), 'base64').toString(),
});

const named = { "'": "\\'", '"': '\\"', '\\': '\\\\', '/': '\\/', '\b': '\\b', '\n': '\\n', '\t': '\\t', '\f': '\\f', '\r': '\\r' };

/** Escapes as StringEscapeUtils.escapeJavaScript of Apache Commons Lang 2. */
const escapeJavaScript = (s) => s.replace(/['"\\/]|[^ -\x7f]/g, (c) =>
  named[c] ?? '\\u' + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0'));

/** Encodes as java.net.URLEncoder. */
const urlEncode = (s) => encodeURIComponent(s.toWellFormed())
  .replace(/[!'()~]/g, (c) => '%' + c.charCodeAt(0).toString(16).toUpperCase())
  .replaceAll('%20', '+');

/** The changes that a template made to $context.requestOverride and $context.responseOverride. */
export function overrides({ requestOverride, responseOverride }) {
  const { status, header } = responseOverride;
  return {
    requestHeader: values(requestOverride.header),
    // Anything but a whole number that is an HTTP status is ignored.
    status: Number.isInteger(status) && status >= 100 && status <= 599 ? status : undefined,
    header: values(header),
  };
}

/** Headers as the template that set them sees them: a value, or a list of several. */
const single = (headers) => Object.fromEntries(
  Object.entries(headers ?? {}).map(([key, list]) => [key, list.length === 1 ? list[0] : ArrayList.from(list)]));

function values(set) {
  const keys = Object.keys(set);
  if (keys.length === 0) return undefined;
  return Object.fromEntries(keys.map((key) => [key, Array.isArray(set[key]) ? set[key].map(text) : [text(set[key])]]));
}
