// One event: what became of it, in the order of time.

import { html, useState } from './vendor/preact.js';
import { get, post } from './server.js';
import { JSONText, ms, Problem, State, times, useGet, useNow, When } from './ui.js';

const verbs = { occurred: 'happened', wrote: 'wrote', committed: 'committed', moved: 'moved on', received: 'received', log: 'logged', effect: 'handled', fault: 'fault injected' };

function Step({ step, start }) {
  const after = new Date(step.at) - start;
  return html`<li class="step ${step.kind} ${step.outcome ?? ''}">
    <time datetime=${step.at} title=${new Date(step.at).toLocaleString()}>${after <= 0 ? '0' : `+${ms(after)}`}</time>
    <div><b>${step.kind === 'moved' && !step.to ? 'arrived at' : verbs[step.kind] ?? step.kind}</b> <span>${step.where}${step.to && ` → ${step.to}`}</span>
      ${step.outcome && step.outcome !== 'ok' && html` <em>${step.outcome}</em>`}
      ${step.latencyMs > 0 && html` <small>took ${ms(step.latencyMs)}</small>`}
      ${step.detail && html`<p>${step.detail}</p>`}</div>
  </li>`;
}

function Deliver({ event, consumers }) {
  const [to, setTo] = useState('');
  const [said, say] = useState();
  const send = async () => {
    try {
      await post('deliver', { event, consumer: to });
      say({ done: `Sent again${to && ` to ${to}`}.` });
    } catch (e) {
      say({ problem: e.message });
    }
  };
  return html`<div class="again">
    <label>Deliver again to<select value=${to} onChange=${(e) => setTo(e.target.value)}><option value="">all consumers</option>${consumers.map((c) => html`<option>${c.name}</option>`)}</select></label>
    <button type="button" onClick=${send}>Deliver again</button>
    <span role="status">${said?.done}</span><${Problem} text=${said?.problem} />
  </div>`;
}

const Link = ({ id, children }) => html`<a href=${`#/events/${encodeURIComponent(id)}`}>${children}</a>`;

export function EventPage({ argument, about, changed }) {
  useNow();
  const { value: e, error } = useGet(get, `events/${encodeURIComponent(argument)}`, [changed]);
  const [logs, setLogs] = useState(true);
  if (!e) return html`<p><a href="#/events">← Events</a></p><${Problem} text=${error} />`;
  const start = e.steps.length ? new Date(e.steps[0].at) : new Date(e.at);
  const steps = e.steps.filter((s) => logs || s.kind !== 'log');
  return html`<p><a href="#/events">← Events</a></p>
    <h1>${e.type} <${State} of=${e.state} /></h1>
    <dl class="facts">
      <dt>aggregate</dt><dd>${e.aggregateType}#${e.aggregateId}, version ${e.version}</dd>
      <dt>id</dt><dd><code>${e.id}</code></dd>
      <dt>committed</dt><dd><${When} at=${e.at} /> ago ${about.live ? '' : html`<small>${new Date(e.at).toLocaleString()}</small>`}</dd>
      ${e.correlationId && html`<dt>correlation</dt><dd><code>${e.correlationId}</code></dd>`}
      ${e.causedBy && html`<dt>caused by</dt><dd><${Link} id=${e.causedBy}><code>${e.causedBy}</code><//></dd>`}
      ${e.caused?.length > 0 && html`<dt>led to</dt><dd>${e.caused.map((c) => html`<${Link} id=${c.id}>${c.type}<//> `)}</dd>`}
    </dl>
    <div class="columns even">
      <section><h2>Timeline</h2>
        <label class="check"><input type="checkbox" checked=${logs} onChange=${(x) => setLogs(x.target.checked)} /> log lines</label>
        <ol class="timeline" aria-live="polite">${steps.map((s, i) => html`<${Step} key=${i} step=${s} start=${start} />`)}</ol>
        ${steps.length === 0 && html`<p class="quiet">Only what the tables and queues tell is known of this event: see its consumers.</p>`}
      </section>
      <div>
        <section><h2>Consumers</h2>
          <ul class="consumers">${e.consumers.map((c) => html`<li key=${c.name}><b>${c.name}</b><${State} of=${c.state} />
            <small>${[c.receives > 0 && `received ${times(c.receives)}`, c.reason].filter(Boolean).join(' · ')}</small></li>`)}</ul>
          ${e.consumers.length === 0 && html`<p class="quiet">No rule has matched it yet.</p>`}
          ${about.run && html`<${Deliver} event=${e.id} consumers=${e.consumers} />`}
        </section>
        ${e.payload && html`<section><h2>Payload</h2><${JSONText} value=${e.payload} label="Payload" /></section>`}
      </div>
    </div>`;
}
