// Runs mapping templates as API Gateway does: Velocity 1.7 on Java objects, with one rule of API Gateway's own, that a
// reference to nothing is the empty string. velocityjs parses the templates. This module evaluates the tree itself,
// because velocityjs evaluates with JavaScript's rules (== and truth of "", fractions from 1/2, no #stop, scopes that
// leak out of #foreach) and parses strings again on each run.

import { ArrayList, assign, calculate, compare, double, element, equal, holds, invoke, property, text } from './java.mjs';

// Source: API Gateway developer guide, api-gateway-execution-service-limits-table, "Iterations in a #foreach loop".
const maxIterations = 1000;

// velocityjs accepts a block without its #end. A text behind the source is then in the block, and else behind it.
const sentinel = '\u{e000}end of the source\u{e000}';

/** The head of the innermost block that contains the sentinel, if one does. */
function unclosed(nodes, head) {
  for (const node of nodes) {
    if (Array.isArray(node)) {
      const open = unclosed(node.slice(1), node[0]);
      if (open) return open;
    } else if (head && typeof node === 'string' && node.includes(sentinel)) {
      return head;
    }
  }
  return undefined;
}

/** The body of a #define: rendered wherever it is referenced. */
class Block {
  constructor(nodes) { this.nodes = nodes; }
}

export class Engine {
  #parse;
  #strings = new Map();

  constructor(parse) { this.#parse = parse; }

  compile(source) {
    const tree = this.#parse(source);
    const open = unclosed(this.#parse(source + '\n' + sentinel));
    if (open) throw new Error(`Parse error on line ${open.pos?.first_line ?? '?'}: #${open.type} has no #end`);
    return tree;
  }

  /** The tree of a string within a template. The strings of a template are few, so their trees are stored. */
  string(source) {
    let tree = this.#strings.get(source);
    if (!tree) this.#strings.set(source, tree = this.compile(source));
    return tree;
  }

  render(tree, variables) {
    return new Run(this, variables).block(tree);
  }
}

class Run {
  #engine;
  #variables;
  #macros = new Map();
  #leaving = ''; // 'break' or 'stop' while it is carried out

  constructor(engine, variables) {
    this.#engine = engine;
    this.#variables = new Map(Object.entries(variables));
  }

  block(nodes, from = 0) {
    let out = '';
    for (let i = from; i < nodes.length && !this.#leaving; i++) {
      const node = nodes[i];
      out += typeof node === 'string' ? node : Array.isArray(node) ? this.#directive(node) : this.#inline(node);
    }
    return out;
  }

  #inline(node) {
    switch (node.type) {
      case 'references': return text(this.#reference(node));
      case 'raw': return node.value;
      case 'comment': return '';
      case 'set': return this.#set(...node.equal);
      case 'break': return this.#leave('break');
      case 'macro_call': return this.#call(node);
      default: throw new Error(`#${node.type} is not supported by the local run`);
    }
  }

  #directive(nodes) {
    const [head] = nodes;
    switch (head.type) {
      case 'if': return this.#if(nodes);
      case 'foreach': return this.#foreach(nodes);
      case 'define': this.#variables.set(head.id, new Block(nodes.slice(1))); return '';
      case 'macro': this.#macros.set(head.id, { parameters: head.args || [], body: nodes }); return '';
      default: throw new Error(`#${head.type} is not supported by the local run`);
    }
  }

  #leave(how) {
    this.#leaving = how;
    return '';
  }

  #if(nodes) {
    for (let i = 0; i < nodes.length; i++) {
      const { type, condition } = nodes[i];
      const branch = type === 'else' || ((type === 'if' || type === 'elseif') && holds(this.#value(condition)));
      if (!branch) continue;
      const end = nodes.findIndex((node, j) => j > i && (node.type === 'elseif' || node.type === 'else'));
      return this.block(end < 0 ? nodes : nodes.slice(0, end), i + 1);
    }
    return '';
  }

  #foreach(nodes) {
    const { to, from } = nodes[0];
    const items = iterable(this.#value(from));
    if (items.length > maxIterations) throw new Error(`#foreach over ${items.length} elements: API Gateway stops at ${maxIterations}`);
    const restore = this.#shadow([to, 'foreach', 'velocityCount']);
    let out = '';
    for (let i = 0; i < items.length && !this.#leaving; i++) {
      this.#variables.set(to, items[i]);
      this.#variables.set('foreach', { index: i, count: i + 1, hasNext: i + 1 < items.length, first: i === 0, last: i + 1 === items.length });
      this.#variables.set('velocityCount', i + 1);
      out += this.block(nodes, 1);
    }
    if (this.#leaving === 'break') this.#leaving = '';
    restore();
    return out;
  }

  #call({ id, args }) {
    const values = (args || []).map((arg) => this.#value(arg));
    if (id === 'stop') return this.#leave('stop');
    if (id === 'evaluate') return this.block(this.#engine.compile(text(values[0])));
    const macro = this.#macros.get(id);
    if (!macro) throw new Error(`#${id}() is not defined`);
    const restore = this.#shadow(macro.parameters.map((parameter) => parameter.id));
    macro.parameters.forEach((parameter, i) => this.#variables.set(parameter.id, values[i] ?? ''));
    const out = this.block(macro.body, 1);
    restore();
    return out;
  }

  /** Stores variables and returns a function that restores them. */
  #shadow(names) {
    const before = names.map((name) => [name, this.#variables.has(name), this.#variables.get(name)]);
    return () => before.forEach(([name, had, value]) => (had ? this.#variables.set(name, value) : this.#variables.delete(name)));
  }

  #set(reference, expression) {
    const value = this.#value(expression);
    const path = reference.path || [];
    if (path.length === 0) {
      this.#variables.set(reference.id, value);
      return '';
    }
    const last = path.at(-1);
    const target = this.#follow(this.#variables.get(reference.id), path.slice(0, -1));
    if (target == null || last.type === 'method') throw new Error(`#set: $${reference.id} has nothing to set there`);
    assign(target, last.type === 'property' ? last.id : this.#value(last.id), value);
    return '';
  }

  #reference({ id, path = [] }) {
    let root = this.#variables.get(id);
    if (root instanceof Block) root = this.block(root.nodes);
    return this.#follow(root, path) ?? '';
  }

  #follow(value, path) {
    for (const step of path) {
      if (value == null) return null;
      switch (step.type) {
        case 'property': value = property(value, step.id); break;
        case 'index': value = element(value, this.#value(step.id)); break;
        default: value = invoke(value, step.id, (step.args || []).map((arg) => this.#value(arg)));
      }
    }
    return value;
  }

  #value(node) {
    switch (node.type) {
      case 'references': return this.#reference(node);
      case 'string': return this.#string(node);
      case 'integer': return Number(node.value);
      case 'decimal': return double(Number(node.value));
      case 'bool':
        if (node.value === 'null') throw new Error('Velocity has no literal null: compare with ""');
        return node.value === 'true';
      case 'array': return node.isRange ? this.#range(node.value) : ArrayList.from(node.value, (item) => this.#value(item));
      case 'map': return Object.fromEntries(Object.entries(node.value || {}).map(([key, item]) => [key, this.#value(item)]));
      case 'math': return this.#math(node.operator, node.expression);
      default: throw new Error(`${node.type} is not supported by the local run`);
    }
  }

  /** Only strings in double quotes are templates themselves. */
  #string({ value, isEval }) {
    return isEval && /[$#]/.test(value) ? this.block(this.#engine.string(value)) : value;
  }

  #range(ends) {
    const [begin, end] = ends.map((end) => Number(typeof end === 'object' ? this.#value(end) : end));
    const length = Math.abs(end - begin) + 1;
    if (!Number.isInteger(length)) return new ArrayList();
    if (length > maxIterations) throw new Error(`a range of ${length} elements: API Gateway iterates over ${maxIterations} at most`);
    return ArrayList.from({ length }, (_, i) => (begin < end ? begin + i : begin - i));
  }

  #math(operator, [left, right]) {
    const a = this.#value(left);
    switch (operator) {
      case 'parenthesis': return a;
      case 'not': return !holds(a);
      case 'minus': return calculate('-', 0, a);
      case '&&': return holds(a) && holds(this.#value(right));
      case '||': return holds(a) || holds(this.#value(right));
    }
    const b = this.#value(right);
    switch (operator) {
      case '==': return equal(a, b);
      case '!=': return !equal(a, b);
      case '<':
      case '<=':
      case '>':
      case '>=': return compare(operator, a, b);
      default: return calculate(operator, a, b);
    }
  }
}

/** The values that #foreach visits: a list's elements, a map's values, nothing otherwise. */
function iterable(value) {
  if (Array.isArray(value)) return value;
  return value !== null && typeof value === 'object' ? Object.values(value) : [];
}
