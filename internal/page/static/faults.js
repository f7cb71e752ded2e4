// Faults: what can go wrong between the services, each with a switch.

import { html, useState } from './vendor/preact.js';
import { get, post } from './server.js';
import { Problem, times, useGet } from './ui.js';

const rates = [0, 0.01, 0.05, 0.2, 0.5, 1];
const places = { dynamodb: 'DynamoDB', stream: 'The stream that a pipe reads', pipe: 'The pipe', bus: 'The bus', queue: 'The queue that a mapping polls', function: 'The function' };

function Switch({ fault, onSet }) {
  const [key, setKey] = useState('');
  const choices = rates.includes(fault.rate) ? rates : [...rates, fault.rate].sort();
  return html`<li class=${fault.rate > 0 || fault.once ? 'on' : ''}>
    <div><b>${fault.point.split('.')[1]}</b><p>${fault.what}</p></div>
    <label>how often<select value=${String(fault.rate)} onChange=${(e) => onSet({ point: fault.point, rate: Number(e.target.value), once: fault.once ?? '' })} aria-label=${`How often ${fault.point}`}>
      ${choices.map((r) => html`<option value=${String(r)}>${r === 0 ? 'never' : r === 1 ? 'always' : `${r * 100} %`}</option>`)}</select></label>
    <form onSubmit=${(e) => { e.preventDefault(); onSet({ point: fault.point, rate: fault.rate, once: key || '*' }); setKey(''); }}>
      <label>once, to<input value=${key} placeholder="the next, or an event's id" onInput=${(e) => setKey(e.target.value)} aria-label=${`Once, to which event, ${fault.point}`} /></label>
      <button type="submit">Once</button>
    </form>
    <p class="fired">${fault.once && html`<span>${fault.once === '*' ? 'will hit the next' : `will hit ${fault.once}`}</span> `}${fault.fired > 0 && `fired ${times(fault.fired)}`}</p>
  </li>`;
}

export function Faults({ state }) {
  const { value: faults, error, reload } = useGet(get, 'faults', [state?.at]);
  const [said, say] = useState({});
  const change = (path, what) => async (body) => {
    try {
      await post(path, body);
      say({ done: what(body) });
    } catch (e) {
      say({ problem: e.message });
    }
    reload();
  };
  const set = change('faults', (f) => `${f.point} is set.`);
  const on = faults?.some((f) => f.rate > 0 || f.once);
  const groups = Object.groupBy ? Object.groupBy(faults ?? [], (f) => f.point.split('.')[0]) : {};
  return html`<h1>Faults</h1>
    <p class="lead">Each is one that AWS documents, or that a client must expect. Switch one on, and see that every event still takes effect once.</p>
    <div class="toolbar"><button type="button" class="primary" disabled=${!on} onClick=${() => change('faults/heal', () => 'Healed: no fault is injected any more.')({})}>Heal</button><span role="status">${said.done}</span></div>
    <${Problem} text=${error} /><${Problem} text=${said.problem} />
    ${Object.entries(groups).map(([group, list]) => html`<section><h2>${places[group] ?? group}</h2><ul class="points">${list.map((f) => html`<${Switch} key=${f.point} fault=${f} onSet=${set} />`)}</ul></section>`)}`;
}
