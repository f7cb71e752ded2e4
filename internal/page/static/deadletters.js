// Dead letters: what could not be handled, why, and what to do with it.

import { html, useState } from './vendor/preact.js';
import { get, post } from './server.js';
import { Confirm, count, Empty, JSONText, Problem, useGet, useNow, waitingDeadLetters, When } from './ui.js';

function Message({ m, chosen, onChoose, readOnly }) {
  const [open, setOpen] = useState(false);
  const name = [m.type ?? 'message', m.about].filter(Boolean).join(' ');
  return html`<li class="letter">
    ${!readOnly && html`<input type="checkbox" checked=${chosen} onChange=${onChoose} aria-label=${`Select ${name} of ${m.consumer ?? m.kind}`} />`}
    <div>
      <p><b>${m.type ?? 'message'}</b> ${m.about && html`<span>${m.about}</span> `}<span class="tag">${m.consumer ? `${m.consumer}${m.kind === 'rule' ? "'s rule" : ''}` : m.kind}</span> <${When} at=${m.sentAt} /></p>
      <p class="reason">${m.reason}</p>
      <p><button type="button" class="link" aria-expanded=${open} onClick=${() => setOpen(!open)}>${open ? 'Hide the message' : 'Show the message'}</button>
        ${m.eventId && html` <a href=${`#/events/${encodeURIComponent(m.eventId)}`}>Timeline</a>`}</p>
      ${open && html`<${JSONText} value=${m.body} label="Message" />`}
    </div>
  </li>`;
}

export function DeadLetters({ about, flow, state }) {
  useNow();
  // It asks again when the number changes: to see a message is to receive it.
  const { value, error, reload } = useGet(get, 'dead-letters', [waitingDeadLetters(flow, state)]);
  const [chosen, choose] = useState(new Set());
  const [asking, ask] = useState(false);
  const [said, say] = useState({});
  if (!value) return html`<h1>Dead letters</h1><${Problem} text=${error} />${!error && html`<p class="quiet" role="status">Looking into the queues…</p>`}`;
  const ids = value.messages.map((m) => m.id).filter((id) => chosen.has(id));
  const toggle = (id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    choose(next);
  };
  const move = (path, done) => async () => {
    ask(false);
    say({ busy: true });
    try {
      const result = await post(`dead-letters/${path}`, { ids });
      say({ done: [`${count(result.done, 'message')} ${done}.`, result.note].filter(Boolean).join(' '), kept: result.kept });
      choose(new Set());
    } catch (e) {
      say({ problem: e.message });
    }
    reload();
  };
  return html`<h1>Dead letters</h1>
    <${Problem} text=${error} />
    <div class="toolbar" role="toolbar" aria-label="What to do with the selected messages">
      ${!about.readOnly && value.messages.length > 0 && html`
        <label class="check"><input type="checkbox" checked=${ids.length > 0 && ids.length === value.messages.length} onChange=${(e) => choose(new Set(e.target.checked ? value.messages.map((m) => m.id) : []))} /> all ${value.messages.length}</label>
        <button type="button" class="primary" disabled=${!ids.length || said.busy} onClick=${move('redrive', 'redriven')}>Redrive${ids.length ? ` ${ids.length}` : ''}</button>
        <button type="button" disabled=${!ids.length || said.busy} onClick=${() => ask(true)}>Discard${ids.length ? ` ${ids.length}` : ''}</button>`}
      <button type="button" onClick=${reload}>Look again</button>
      <span role="status">${said.busy ? 'Working…' : said.done}</span>
    </div>
    <${Problem} text=${said.problem} />
    ${said.kept?.map((k) => html`<p class="problem">${k}</p>`)}
    ${about.readOnly && html`<p class="quiet">This page changes nothing: start it with --write to redrive and discard.</p>`}
    ${value.total > value.messages.length && html`<p class="quiet">${value.messages.length} of about ${value.total} are shown. Somebody else is looking at the others, or there are too many.</p>`}
    ${value.messages.length === 0
      ? value.total === 0 && html`<${Empty} title="No dead letters">Everything that was delivered has been handled, or is still being tried.<//>`
      : html`<ul class="letters" aria-label="Dead-letter messages, the oldest first">${value.messages.map((m) => html`<${Message} key=${m.id} m=${m} chosen=${chosen.has(m.id)} onChoose=${() => toggle(m.id)} readOnly=${about.readOnly} />`)}</ul>`}
    ${asking && html`<${Confirm} title=${`Discard ${count(ids.length, 'message')} for good?`} action="Discard" onYes=${move('discard', 'discarded')} onNo=${() => ask(false)}>
      <p>Their events will have no effect any more. A copy of each goes into a file first.</p><//>`}`;
}
