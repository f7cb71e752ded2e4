// Java's view of the values in a template. API Gateway runs Apache Velocity on Java objects: templates
// call methods of String, List and Map, print objects as Java does and compute with Java's integers.

import { Decimal, stringify } from './json.mjs';

/** A list that a template created. It prints as [a, b]; a list from JSON prints as JSON. */
export class ArrayList extends Array {}

/** One entry of a map, as entrySet() returns it. */
class Entry {
  constructor(map, key) { this.map = map; this.key = key; }
  get value() { return this.map[this.key]; }
}

/** An object that the gateway puts into the context, such as $input and $util. */
export class Host {
  constructor(name, methods, properties = {}) { Object.assign(this, { name, methods, properties }); }
}

/** A map whose keys can be set once only, by each of the two templates of a request: `earlier` holds what the first has set. */
export class Once {
  #name;
  #earlier;
  constructor(name, values = {}, earlier = {}) {
    this.#name = name;
    this.#earlier = new Set(Object.keys(earlier));
    Object.assign(this, values, earlier);
  }
  static check(map, key) {
    if (Object.hasOwn(map, key) && !map.#earlier.delete(key)) throw new Error(`${map.#name}.${key} is set twice: an override can be applied once only`);
  }
}

const isNumber = (value) => typeof value === 'number' || value instanceof Decimal;
const isMap = (value) => value !== null && typeof value === 'object' && kind(value) === 'map';

function kind(value) {
  if (typeof value === 'string') return 'string';
  if (typeof value === 'boolean') return 'boolean';
  if (isNumber(value)) return 'number';
  if (Array.isArray(value)) return 'list';
  if (value instanceof Entry) return 'entry';
  if (value instanceof Host) return value.name;
  return 'map';
}

/** The value as toString() returns it. */
export function text(value) {
  switch (kind(value ?? 'null')) {
    case 'list':
      return value instanceof ArrayList ? `[${value.map(text).join(', ')}]` : stringify(value);
    case 'map':
      return `{${Object.keys(value).map((key) => `${key}=${text(value[key])}`).join(', ')}}`;
    case 'entry':
      return `${value.key}=${text(value.value)}`;
    default:
      return value instanceof Host ? '$' + value.name : String(value);
  }
}

/** Velocity's ==: numbers by value, objects of one class with equals(), all else by their text. */
export function equal(a, b) {
  if (isNumber(a) && isNumber(b)) return Number(a) === Number(b);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => equal(item, b[i]));
  if (isMap(a) && isMap(b)) {
    const keys = Object.keys(a);
    return keys.length === Object.keys(b).length && keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
  }
  return text(a) === text(b);
}

/** Velocity's condition: everything except false and null holds, including the empty string. */
export const holds = (value) => value !== false && value !== null;

/** Velocity's <, <=, > and >= hold between numbers only. */
export function compare(operator, a, b) {
  if (!isNumber(a) || !isNumber(b)) return false;
  const [x, y] = [Number(a), Number(b)];
  switch (operator) {
    case '<': return x < y;
    case '<=': return x <= y;
    case '>': return x > y;
    default: return x >= y;
  }
}

/** A Double: it prints a fraction even where there is none. */
export const double = (x) => (Number.isInteger(x) ? new Decimal(x + '.0') : x);

/** Velocity's arithmetic: + joins strings, / and % of whole numbers are whole; null where Velocity fails. */
export function calculate(operator, a, b) {
  if (operator === '+' && (typeof a === 'string' || typeof b === 'string')) return text(a) + text(b);
  if (!isNumber(a) || !isNumber(b)) return null;
  const whole = Number.isInteger(a) && Number.isInteger(b);
  const [x, y] = [Number(a), Number(b)];
  const result = (n) => (whole ? Math.trunc(n) : double(n));
  switch (operator) {
    case '+': return result(x + y);
    case '-': return result(x - y);
    case '*': return result(x * y);
    case '%': return y === 0 ? null : result(x % y);
    default: return y === 0 ? null : result(x / y);
  }
}

/** $target.name */
export function property(target, name) {
  switch (kind(target)) {
    case 'map': return Object.hasOwn(target, name) ? target[name] : null;
    case 'entry': return name === 'key' || name === 'value' ? target[name] : null;
    case 'string':
    case 'list': return name === 'empty' ? target.length === 0 : null;
    default: return target instanceof Host ? target.properties[name] ?? null : null;
  }
}

/** $target[key] */
export const element = (target, key) => Array.isArray(target) ? lists.get(target, key) : property(target, text(key));

/** #set($target.key = value) and #set($target[key] = value) */
export function assign(target, key, value) {
  if (Array.isArray(target)) return lists.set(target, key, value);
  if (!isMap(target)) throw new Error(`cannot set ${text(key)} of a ${kind(target)}`);
  if (target instanceof Once) Once.check(target, text(key));
  // An ordinary assignment would not store a key named __proto__.
  Object.defineProperty(target, text(key), { value, writable: true, enumerable: true, configurable: true });
}

/** $target.name(args) */
export function invoke(target, name, args) {
  const methods = target instanceof Host ? target.methods : methodsOf[kind(target)];
  if (!Object.hasOwn(methods, name)) throw new Error(`the local run knows no method ${name} of a ${kind(target)}`);
  return methods[name](target, ...args);
}

const inRange = (method, list, index) => {
  if (!Number.isInteger(index) || index < 0 || index >= list.length) {
    throw new Error(`${method}(${text(index)}): the list has ${list.length} elements`);
  }
  return index;
};

const common = { toString: text, equals: (a, b) => kind(a) === kind(b) && equal(a, b) };

const strings = {
  ...common,
  length: (s) => s.length,
  isEmpty: (s) => s === '',
  charAt: (s, i) => strings.substring(s, i, i + 1),
  contains: (s, x) => s.includes(text(x)),
  startsWith: (s, x) => s.startsWith(text(x)),
  endsWith: (s, x) => s.endsWith(text(x)),
  indexOf: (s, x, from) => s.indexOf(text(x), from),
  lastIndexOf: (s, x) => s.lastIndexOf(text(x)),
  substring: (s, begin, end = s.length) => {
    if (!(begin >= 0 && begin <= end && end <= s.length)) throw new Error(`substring(${begin}, ${end}): the string has ${s.length} characters`);
    return s.slice(begin, end);
  },
  concat: (s, x) => s + text(x),
  trim: (s) => s.replace(/^[\0- ]+|[\0- ]+$/g, ''),
  toLowerCase: (s) => s.toLowerCase(),
  toUpperCase: (s) => s.toUpperCase(),
  equalsIgnoreCase: (s, x) => s.toLowerCase() === text(x).toLowerCase(),
  compareTo: (s, x) => (s < x ? -1 : s > x ? 1 : 0),
  replace: (s, from, to) => s.replaceAll(text(from), () => text(to)),
  replaceAll: (s, pattern, to) => s.replace(regex(pattern, 'g'), replacement(to)),
  replaceFirst: (s, pattern, to) => s.replace(regex(pattern), replacement(to)),
  matches: (s, pattern) => regex(`^(?:${pattern})$`).test(s),
  split: (s, pattern, limit = 0) => {
    const parts = ArrayList.from(s.split(regex(pattern)));
    if (limit > 0) throw new Error('split with a limit is not supported by the local run');
    while (limit === 0 && parts.length > 1 && parts.at(-1) === '') parts.pop();
    return parts;
  },
};

const lists = {
  ...common,
  size: (l) => l.length,
  isEmpty: (l) => l.length === 0,
  get: (l, i) => l[inRange('get', l, i)],
  set: (l, i, x) => { const old = l[inRange('set', l, i)]; l[i] = x; return old; },
  add: (l, ...args) => {
    if (args.length === 1) return l.push(args[0]) > 0;
    l.splice(args[0], 0, args[1]);
    return null;
  },
  addAll: (l, other) => l.push(...other) > 0 && other.length > 0,
  remove: (l, i) => l.splice(inRange('remove', l, i), 1)[0],
  contains: (l, x) => l.some((item) => equal(item, x)),
  indexOf: (l, x) => l.findIndex((item) => equal(item, x)),
  subList: (l, begin, end) => ArrayList.from(l.slice(begin, end)),
};

const maps = {
  ...common,
  size: (m) => Object.keys(m).length,
  isEmpty: (m) => Object.keys(m).length === 0,
  get: (m, key) => property(m, text(key)),
  getOrDefault: (m, key, otherwise) => (Object.hasOwn(m, text(key)) ? m[text(key)] : otherwise),
  put: (m, key, value) => { const old = property(m, text(key)); assign(m, key, value); return old; },
  putAll: (m, other) => { for (const key of Object.keys(other)) assign(m, key, other[key]); return null; },
  remove: (m, key) => { const old = property(m, text(key)); delete m[text(key)]; return old; },
  containsKey: (m, key) => Object.hasOwn(m, text(key)),
  containsValue: (m, value) => Object.values(m).some((item) => equal(item, value)),
  keySet: (m) => ArrayList.from(Object.keys(m)),
  values: (m) => ArrayList.from(Object.values(m)),
  entrySet: (m) => ArrayList.from(Object.keys(m), (key) => new Entry(m, key)),
};

const numbers = {
  ...common,
  intValue: (n) => Math.trunc(Number(n)),
  longValue: (n) => Math.trunc(Number(n)),
  doubleValue: (n) => Number(n),
  compareTo: (n, x) => Math.sign(Number(n) - Number(x)),
  // Static methods, which templates reach through any instance: #set($Integer = 0) $Integer.parseInt("5")
  parseInt: (_, s) => wholeNumber(s),
  parseLong: (_, s) => wholeNumber(s),
  valueOf: (_, s) => wholeNumber(text(s)),
};

function wholeNumber(s) {
  if (!/^[+-]?\d+$/.test(s)) throw new Error(`"${s}" is not a whole number`);
  return Number(s);
}

const methodsOf = {
  string: strings,
  list: lists,
  map: maps,
  number: numbers,
  boolean: { ...common, booleanValue: (b) => b },
  entry: { ...common, getKey: (e) => e.key, getValue: (e) => e.value },
};

// Syntax of Java's regular expressions that has another meaning in JavaScript's.
const foreign = /\\[pPQEAzZGhHRX]|\(\?>|[*+?}]\+|&&/;
const regexes = new Map();

function regex(pattern, flags = '') {
  const key = flags + pattern;
  let found = regexes.get(key);
  if (!found) {
    if (foreign.test(pattern.replaceAll('\\\\', ''))) throw new Error(`regular expression ${pattern} is not supported by the local run`);
    const ignoreCase = /\(\?i\)/.test(pattern);
    found = new RegExp(pattern.replace('(?i)', ''), ignoreCase ? flags + 'i' : flags);
    regexes.set(key, found);
  }
  return found;
}

/** Java's replacement strings: $1 is a group, a backslash makes the next character literal. */
const replacement = (to) => (...match) =>
  text(to).replace(/\\([^])|\$(\d)/g, (_, literal, group) => literal ?? match[group] ?? '');
