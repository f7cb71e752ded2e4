// The renderer's process: one JSON object a line on standard input, one a line on standard output.
//
//   {"id": 1, "template": 0, "source": "…"}              → {"id": 1}                    (defines template 0)
//   {"id": 2, "template": 0, "variables": {"body": …}}   → {"id": 2, "output": "…", …}  (renders it)
//   anything that fails                                  → {"id": 3, "error": "…"}
//
// The one argument is the folder of the velocityjs package. The process ends with its standard input.

import { createRequire } from 'node:module';
import { MalformedBody, overrides, variables } from './gateway.mjs';
import { Engine } from './velocity.mjs';

const { parse } = createRequire(import.meta.url)(process.argv[2]);
const engine = new Engine(parse);
const templates = [];

function answer(line) {
  const { id, template, source, variables: given } = JSON.parse(line);
  try {
    if (!given) {
      templates[template] = engine.compile(source);
      return { id };
    }
    const scope = variables(given);
    const output = engine.render(templates[template], scope);
    return { id, output, ...overrides(scope.context) };
  } catch (error) {
    return { id, error: error.message, malformed: error instanceof MalformedBody };
  }
}

let unfinished = []; // pieces of a line whose end has not arrived yet
process.stdin.setEncoding('utf8');
process.stdin.on('data', (chunk) => {
  const lines = chunk.split('\n');
  const last = lines.pop();
  if (lines.length > 0) {
    lines[0] = unfinished.join('') + lines[0];
    unfinished = [];
    process.stdout.write(lines.map((line) => JSON.stringify(answer(line)) + '\n').join(''));
  }
  unfinished.push(last);
});
process.stdin.on('end', () => process.exit(0));
process.stdout.write('{"ready":true}\n');
