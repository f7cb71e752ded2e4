// The page: its head, its views by the address's hash, and what it is told by the server.

import { html, render, useEffect, useState } from './vendor/preact.js';
import { follow, get } from './server.js';
import { tell } from './moves.js';
import { Flow } from './flow.js';
import { Events } from './events.js';
import { EventPage } from './event.js';
import { DeadLetters } from './deadletters.js';
import { Send } from './send.js';
import { Faults } from './faults.js';
import { Stack } from './stack.js';
import { Problem, waitingDeadLetters } from './ui.js';

// route returns the view and the argument that the address names.
function route() {
  const [view = 'flow', ...rest] = location.hash.replace(/^#\/?/, '').split('/').filter(Boolean);
  return { view, argument: rest.map(decodeURIComponent).join('/') };
}

// refreshEvery is how many milliseconds there are at least between two looks at events that change: at once after a quiet
// time, and seldom enough that a busy run has little to do with it.
const refreshEvery = 1000;

function App() {
  const [at, setAt] = useState(route());
  const [about, setAbout] = useState();
  const [flow, setFlow] = useState();
  const [problem, setProblem] = useState();
  const [connected, setConnected] = useState(true);
  const [state, setState] = useState();
  const [changed, setChanged] = useState(0);

  useEffect(() => {
    const go = () => {
      setAt(route());
      document.querySelector('main')?.focus({ preventScroll: true });
    };
    addEventListener('hashchange', go);
    const failed = (e) => setProblem(e.message);
    const load = () => {
      get('about').then(setAbout, failed);
      get('flow').then(setFlow, failed);
    };
    load();
    let refreshed = 0;
    let refreshing;
    const refresh = () => {
      refreshing ??= setTimeout(() => {
        refreshing = undefined;
        refreshed = Date.now();
        setChanged((n) => n + 1);
      }, Math.max(0, refreshed + refreshEvery - Date.now()));
    };
    const end = follow({
      connected: setConnected,
      message: (m) => {
        if (m.moves) tell(m.moves);
        if (m.events) refresh();
        if (m.flow) load(); // other templates run
        if (m.state) setState(m.state);
        if (m.state || m.problem) setProblem(m.problem);
      },
    });
    return () => {
      removeEventListener('hashchange', go);
      end();
    };
  }, []);

  if (!about) return html`<${Problem} text=${problem} />`;
  const waiting = waitingDeadLetters(flow, state);
  const views = [
    ['flow', 'Flow'],
    ['events', 'Events'],
    ['dead-letters', 'Dead letters', waiting],
    ...(about.run ? [['send', 'Send'], ['faults', 'Faults']] : []),
    ['stack', 'Stack'],
  ];
  const View = { flow: Flow, events: at.argument ? EventPage : Events, 'dead-letters': DeadLetters, send: Send, faults: Faults, stack: Stack }[at.view] ?? Flow;
  return html`
    <a class="skip" href="#main" onClick=${(e) => { e.preventDefault(); document.querySelector('main').focus(); }}>Skip to the content</a>
    <header>
      <a class="brand" href="#/flow"><img src="/static/icon.svg" alt="" width="26" height="26" /><span><b>${about.stack}</b><small>${about.where}</small></span></a>
      <nav aria-label="Views">
        ${views.map(([id, name, n]) => html`<a href=${`#/${id}`} aria-current=${at.view === id ? 'page' : null}>${name}${n > 0 && html` <em aria-label="${n} waiting">${n}</em>`}</a>`)}
      </nav>
      <p class="connection" role="status">${connected ? '' : 'Not connected. Trying again…'}</p>
    </header>
    <main id="main" tabindex="-1" class=${at.view}>
      <${Problem} text=${problem} />
      ${flow && html`<${View} key=${at.view + at.argument} argument=${at.argument} about=${about} flow=${flow} state=${state} changed=${changed} />`}
    </main>`;
}

render(html`<${App} />`, document.body);
