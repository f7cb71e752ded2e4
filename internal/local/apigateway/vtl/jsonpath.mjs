// The part of JSONPath that mapping templates use: $.a.b, $['a'], $.a[0], $.a[-1], $.a[*].b, $.*, $..a.
// API Gateway's engine is Jayway JsonPath; its filters, slices and functions are refused by name.

const member = /[^.[\]()\s]+/y;
const bracket = /\[\s*(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(\*)|(-?\d+))\s*\]/y;

const compiled = new Map();

/** The value at the path: undefined where there is none; a list, which may be empty, for a path with * or .. */
export function select(root, path) {
  let plan = compiled.get(path);
  if (!plan) compiled.set(path, plan = compile(path));
  let nodes = [root];
  for (const step of plan.steps) {
    const next = [];
    for (const node of step.deep ? nodes.flatMap(descend) : nodes) step.from(node, next);
    nodes = next;
  }
  return plan.definite ? nodes[0] : nodes;
}

function compile(path) {
  const text = path.startsWith('$') ? path : '$.' + path; // as Jayway does
  const steps = [];
  let at = 1;
  const take = (pattern) => {
    pattern.lastIndex = at;
    const match = pattern.exec(text);
    if (match) at = pattern.lastIndex;
    return match;
  };
  while (at < text.length) {
    const deep = text.startsWith('..', at);
    if (deep) at += 2;
    const dot = !deep && text[at] === '.';
    if (dot) at++;
    let match;
    if ((match = take(bracket))) {
      const [, single, double, all, index] = match;
      const name = single ?? double;
      if (name !== undefined) steps.push({ deep, from: child(name.replace(/\\(.)/g, '$1')) });
      else if (all) steps.push({ deep, from: everything, many: true });
      else steps.push({ deep, from: element(Number(index)) });
    } else if ((deep || dot) && (match = take(member)) && text[at] !== '(') {
      const [name] = match;
      steps.push(name === '*' ? { deep, from: everything, many: true } : { deep, from: child(name) });
    } else {
      throw new Error(`JSON path ${path}: the local run knows .name, ['name'], [index], [*] and ..name, nothing else`);
    }
  }
  return { steps, definite: !steps.some((step) => step.deep || step.many) };
}

const isObject = (value) => value !== null && typeof value === 'object';

const child = (name) => (node, found) => {
  if (isObject(node) && !Array.isArray(node) && Object.hasOwn(node, name)) found.push(node[name]);
};

const element = (index) => (node, found) => {
  if (Array.isArray(node) && node.at(index) !== undefined) found.push(node.at(index));
};

function everything(node, found) {
  if (isObject(node)) found.push(...Object.values(node));
}

function descend(node) {
  return isObject(node) ? [node, ...Object.values(node).flatMap(descend)] : [node];
}
