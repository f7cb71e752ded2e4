// Stack: where it listens, and what it consists of.

import { html } from './vendor/preact.js';

export function Stack({ about }) {
  return html`<h1>${about.stack}</h1>
    ${about.facts?.map((group) => html`<section><h2>${group.title}</h2>
      <div class="scroll" tabindex="0" role="region" aria-label=${group.title}><table><tbody>${group.rows.map((row) => html`<tr>${row.map((cell, i) => (i === 0 ? html`<th scope="row">${cell}</th>` : html`<td>${cell}</td>`))}</tr>`)}</tbody></table></div></section>`)}`;
}
