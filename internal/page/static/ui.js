// Small parts that several views use.

import { html, useEffect, useRef, useState } from './vendor/preact.js';

// ago returns how long ago a time was: "now", "12 s", "5 min".
export function ago(time, now = Date.now()) {
  const s = Math.max(0, Math.round((now - new Date(time)) / 1000));
  if (s < 2) return 'now';
  return span(s);
}

// span returns a duration of whole seconds.
export function span(s) {
  if (s < 100) return `${s} s`;
  if (s < 5400) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} d`;
}

// ms returns a duration of milliseconds.
export function ms(n) {
  if (n < 10) return `${n.toFixed(1)} ms`;
  if (n < 1000) return `${Math.round(n)} ms`;
  return `${(n / 1000).toFixed(n < 10000 ? 2 : 1)} s`;
}

export const count = (n, one, many = `${one}s`) => `${n.toLocaleString('en-US')} ${n === 1 ? one : many}`;

export const times = (n) => ({ 1: 'once', 2: 'twice' })[n] ?? `${n} times`;

// short returns the end of an id, which tells UUIDv7s of the same time apart.
export const short = (id) => (id.length > 14 ? `…${id.slice(-12)}` : id);

// pretty returns JSON with line breaks, and other text as it is. An envelope's data, which is JSON in a text, becomes JSON
// too.
export function pretty(value) {
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      return value;
    }
  }
  try {
    const data = JSON.parse(value.detail.data.S);
    value = { ...value, detail: { ...value.detail, data } };
  } catch {
    // No envelope of an outbox.
  }
  return JSON.stringify(value, null, 2);
}

export const states = ['handled', 'moving', 'waiting', 'in-flight', 'retrying', 'dead-letter', 'dropped', 'unmatched'];

export const State = ({ of }) => html`<span class="state ${of}"><i aria-hidden="true" />${of}</span>`;

export const When = ({ at }) => html`<time datetime=${at} title=${new Date(at).toLocaleString()}>${ago(at)}</time>`;

export const Problem = ({ text }) => text && html`<p class="problem" role="alert">${text}</p>`;

export const Empty = ({ title, children }) => html`<div class="empty"><h2>${title}</h2><p>${children}</p></div>`;

export const JSONText = ({ value, label }) => html`<pre class="json" tabindex="0" role="region" aria-label=${label}>${pretty(value)}</pre>`;

// useGet returns what the server answers to a path, and asks again when one of the dependencies changes.
export function useGet(get, path, deps = []) {
  const [state, set] = useState({});
  const [again, setAgain] = useState(0);
  useEffect(() => {
    let current = true;
    get(path).then(
      (value) => current && set({ value }),
      (e) => current && set((s) => ({ value: s.value, error: e.message })),
    );
    return () => {
      current = false;
    };
  }, [path, again, ...deps]);
  return { ...state, reload: () => setAgain((n) => n + 1) };
}

// inQueue returns how many messages a dead-letter queue has: those that somebody looks at are in flight. undefined: not known.
export const inQueue = (now) => (now?.waiting === undefined ? undefined : now.waiting + (now.inFlight ?? 0));

// waitingDeadLetters returns how many messages are in the dead-letter queues of the flow.
export function waitingDeadLetters(flow, state) {
  let n = 0;
  for (const node of flow?.nodes ?? []) {
    if (node.kind === 'dead-letters') n += inQueue(state?.nodes?.[node.id]) ?? 0;
  }
  return n;
}

// useNow makes a view draw itself again every so often, for its relative times.
export function useNow(every = 5000) {
  const [, set] = useState(0);
  useEffect(() => {
    const id = setInterval(() => set((n) => n + 1), every);
    return () => clearInterval(id);
  }, []);
}

// Confirm is a dialog that asks before something that cannot be undone.
export function Confirm({ title, children, action, onYes, onNo }) {
  const dialog = useRef();
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} onClose=${onNo} aria-labelledby="confirm">
    <h2 id="confirm">${title}</h2>
    ${children}
    <div class="actions">
      <button type="button" onClick=${() => dialog.current.close()}>Cancel</button>
      <button type="button" class="danger" onClick=${onYes}>${action}</button>
    </div>
  </dialog>`;
}
