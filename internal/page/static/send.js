// Send: requests to the REST API, and events to a bus.

import { html, useState } from './vendor/preact.js';
import { get, post } from './server.js';
import { Empty, ms, pretty, Problem, useGet } from './ui.js';

const parameters = (path) => [...path.matchAll(/\{([^}+]+)\+?\}/g)].map((m) => m[1]);

function Call({ method, several }) {
  const [path, setPath] = useState({});
  const [headers, setHeaders] = useState(method.headers ?? {});
  const [body, setBody] = useState(method.example ? pretty(method.example) : '');
  const [result, set] = useState({});
  const send = async (e) => {
    e.preventDefault();
    set({ busy: true });
    try {
      const filled = method.path.replace(/\{([^}+]+)\+?\}/g, (_, name) => encodeURIComponent(path[name] ?? ''));
      const used = Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== ''));
      set({ response: await post('send', { stack: method.stack, verb: method.verb, path: filled, headers: used, body }) });
    } catch (problem) {
      set({ problem: problem.message });
    }
  };
  const { response } = result;
  return html`<form class="card" aria-label=${`${method.verb} ${method.path}`} onSubmit=${send}>
    <h2><span class="verb">${method.verb}</span> ${method.path} ${several && html`<span class="tag">${method.stack}</span>`} ${method.signed && html`<span class="tag">signed</span>`}</h2>
    ${parameters(method.path).map((name) => html`<label>${name}<input required value=${path[name] ?? ''} onInput=${(e) => setPath({ ...path, [name]: e.target.value })} /></label>`)}
    ${Object.keys(headers).map((name) => html`<label>${name}<input value=${headers[name]} onInput=${(e) => setHeaders({ ...headers, [name]: e.target.value })} /></label>`)}
    ${!['GET', 'HEAD', 'DELETE'].includes(method.verb) && html`<label>body<textarea rows=${Math.min(16, body.split('\n').length + 1)} spellcheck="false" value=${body} onInput=${(e) => setBody(e.target.value)} /></label>`}
    <div class="actions"><button type="submit" class="primary" disabled=${result.busy}>Send</button></div>
    <div role="status">
      ${response && html`<p class="answer"><b class=${response.status < 400 ? 'ok' : 'bad'}>${response.status}</b> in ${ms(response.latencyMs)} <a href="#/events">Events</a></p><pre class="json" tabindex="0" role="region" aria-label="Response">${pretty(response.body)}</pre>`}
    </div>
    <${Problem} text=${result.problem} />
  </form>`;
}

function Publish({ buses }) {
  const [form, setForm] = useState({ bus: buses[0].id, source: '', type: '', detail: '{}' });
  const [said, say] = useState({});
  const change = (name) => (e) => setForm({ ...form, [name]: e.target.value });
  const send = async (e) => {
    e.preventDefault();
    try {
      const { id } = await post('publish', { ...form, detail: JSON.parse(form.detail) });
      say({ done: `Accepted with the id ${id}.` });
    } catch (problem) {
      say({ problem: problem.message });
    }
  };
  return html`<form class="card" aria-label="Publish to a bus" onSubmit=${send}>
    <h2>Publish to a bus</h2>
    <label>bus<select value=${form.bus} onChange=${change('bus')}>${buses.map((b) => html`<option value=${b.id}>${b.path}</option>`)}</select></label>
    <label>source<input required value=${form.source} onInput=${change('source')} /></label>
    <label>type<input required value=${form.type} onInput=${change('type')} /></label>
    <label>detail<textarea rows="6" spellcheck="false" value=${form.detail} onInput=${change('detail')} /></label>
    <div class="actions"><button type="submit" class="primary">Publish</button></div>
    <div role="status">${said.done}</div><${Problem} text=${said.problem} />
  </form>`;
}

export function Send({ flow }) {
  const { value: methods, error } = useGet(get, 'methods');
  const buses = flow.nodes.filter((n) => n.kind === 'bus');
  return html`<h1>Send</h1><${Problem} text=${error} />
    ${methods?.length === 0 && buses.length === 0 && html`<${Empty} title="Nothing to send to">The stack has no REST API and no event bus.<//>`}
    <div class="cards">
      ${methods?.map((m) => html`<${Call} key=${m.stack + m.verb + m.path} method=${m} several=${m.stack !== methods[0].stack || m.stack !== methods.at(-1).stack} />`)}
      ${buses.length > 0 && html`<${Publish} buses=${buses} />`}
    </div>`;
}
