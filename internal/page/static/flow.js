// The flow: the stack as it is wired, with what waits where, and events that move when they move.

import { html, useEffect, useLayoutEffect, useRef, useState } from './vendor/preact.js';
import { onMoves } from './moves.js';
import { get } from './server.js';
import { count, inQueue, span, State, useGet, useNow, When } from './ui.js';

// icons are drawn on a square of 16.
const icons = {
  api: 'M3 5h10M3 11h10M6 2l-3 3 3 3M10 8l3 3-3 3',
  url: 'M6.500 9.500l3-3M7 4.500l1.500-1.500a3 3 0 0 1 4.500 4.500L11.500 9M9 11.500 7.500 13A3 3 0 0 1 3 8.500L4.500 7',
  table: 'M2.5 3.5h11v9h-11zM2.5 6.5h11M6.5 6.5v6',
  pipe: 'M2 6h8v4H2zM10 8h4M12 6l2 2-2 2',
  bus: 'M8 2v12M8 5h5M8 11h5M3 8h5',
  rule: 'M2 3h12L9.5 8.5V13l-3 1V8.500z',
  queue: 'M2 4h3v8H2zM6.5 4h3v8h-3zM11 4h3v8h-3z',
  function: 'M4 13 7.500 5.500M6 3h1.500L12 13',
  'dead-letters': 'M2 4h12v8H2zM2 4l6 5 6-5',
  schedule: 'M8 2a6 6 0 1 0 .01 0M8 5v3.500l2.500 1.500',
  topic: 'M3 6v4h2l4 3V3L5 6zM11.500 5.500a3.500 3.500 0 0 1 0 5',
  outside: 'M6 3H3v10h10v-3M9 3h4v4M13 3 7 9',
};

const Icon = ({ kind }) => html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${icons[kind]} /></svg>`;

// summary returns what a box says of its node in a few words.
function summary(node, now = {}) {
  if (now.status) return now.status.toLowerCase();
  switch (node.kind) {
    case 'queue':
      if (now.waiting === undefined) return 'queue';
      if (!now.waiting && !now.inFlight) return 'empty';
      return [
        now.waiting ? `${now.waiting} waiting` : '',
        now.inFlight ? `${now.inFlight} in flight` : '',
        now.oldestSeconds ? span(now.oldestSeconds) : '',
      ].filter(Boolean).join(' · ');
    case 'dead-letters':
      return String(inQueue(now) ?? '–');
    case 'rule':
    case 'schedule':
      return node.detail ?? '';
    case 'function':
      if (now.passed === undefined) return 'function';
      return `${now.passed} handled${now.failed ? ` · ${now.failed} failed` : ''}`;
    case 'api':
      return now.passed === undefined ? 'REST API' : count(now.passed, 'request');
    case 'url':
      return now.passed === undefined ? 'function URL' : count(now.passed, 'request');
    case 'topic':
      return now.passed === undefined ? 'topic' : `${now.passed} delivered`;
    case 'table':
      return now.passed === undefined ? 'table' : `${now.passed} committed`;
    case 'pipe':
      return now.passed === undefined ? 'running' : `running · ${now.passed} moved`;
    default:
      return now.passed === undefined ? node.kind : count(now.passed, 'event');
  }
}

// alarming returns the class of a box that needs a look.
function alarming(node, now = {}) {
  if (node.kind === 'dead-letters') return inQueue(now) > 0 ? 'bad' : '';
  return now.status ? 'warn' : '';
}

const kindNames = { 'dead-letters': 'dead-letter queue', api: 'REST API', url: 'function URL', bus: 'event bus', outside: 'outside of the stack' };
const kindName = (kind) => kindNames[kind] ?? kind;

function Box({ box, node, now, selected, onSelect }) {
  const pill = node.kind === 'dead-letters';
  const words = summary(node, now);
  return html`<button type="button" class="box ${node.kind} ${alarming(node, now)} ${pill ? 'pill' : ''} ${box.width < 130 ? 'small' : ''}" aria-pressed=${selected}
    aria-label=${`${box.lane && box.lane !== box.title ? `${box.lane}, ` : ''}${box.title}, ${kindName(node.kind)}: ${words}`}
    style=${{ left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` }}
    title=${node.detail ?? null} onClick=${onSelect}>
    <${Icon} kind=${node.kind} />
    ${pill ? html`<b>${words}</b>` : html`<span><b>${box.title}${node.writes && html`<i title="writes new events">↺</i>`}</b><small>${words}</small></span>`}
  </button>`;
}

const still = matchMedia('(prefers-reduced-motion: reduce)');
const mostDots = 12; // at a time
const mostMoves = 24; // a second: where more moves, dots would cost the run more than they show, and lines light up only

// moved are the times at which something has moved, in the last second.
let moved = [];

// isQuiet notes that something moves, and reports whether little does.
function isQuiet(moves) {
  const now = Date.now();
  moved = moved.filter((t) => now - t < 1000);
  for (const m of moves) for (let i = 0; i < Math.min(m.count, mostMoves); i++) moved.push(now);
  return moved.length <= mostMoves;
}

// move shows that events go along a line: dots for a few, else the line lights up.
function move(svg, path, { count: n, outcome }, quiet) {
  const bad = outcome !== 'ok';
  path.classList.add(bad ? 'lit-bad' : 'lit');
  clearTimeout(path.dimming);
  path.dimming = setTimeout(() => path.classList.remove('lit', 'lit-bad'), 700);
  if (still.matches || document.hidden || !quiet) return;
  for (let i = 0; i < Math.min(n, 3) && svg.querySelectorAll('circle').length < mostDots; i++) {
    const dot = document.createElementNS('http://www.w3.org/2000/svg', 'circle');
    dot.setAttribute('r', 4.5);
    if (bad) dot.classList.add('bad');
    dot.style.offsetPath = `path("${path.getAttribute('d')}")`;
    svg.append(dot);
    dot.animate([{ offsetDistance: '0%' }, { offsetDistance: '100%' }], { duration: 650, delay: i * 110, easing: 'ease-in-out', fill: 'backwards' })
      .finished.finally(() => dot.remove());
  }
}

function Drawing({ flow, state, selected, onSelect }) {
  const frame = useRef();
  const svg = useRef();
  const [narrow, setNarrow] = useState(innerWidth < 900);
  useLayoutEffect(() => {
    const fit = () => setNarrow(frame.current.clientWidth < Math.min(flow.wide.width, 880));
    fit();
    const watch = new ResizeObserver(fit);
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  useEffect(() => onMoves((moves) => {
    const quiet = isQuiet(moves);
    for (const m of moves) {
      // What is dead-lettered comes from the queue, and the line to a dead-letter queue from the end of the lane.
      const from = m.outcome === 'dead-letter' ? '' : `[data-from="${CSS.escape(m.from)}"]`;
      const path = svg.current?.querySelector(`${from}[data-to="${CSS.escape(m.to)}"]`);
      if (path) move(svg.current, path, m, quiet);
    }
  }), []);
  const layout = narrow ? flow.narrow : flow.wide;
  const nodes = Object.fromEntries(flow.nodes.map((n) => [n.id, n]));
  return html`<div class="frame" ref=${frame}>
    <div class="drawing" style=${{ width: `${layout.width}px`, height: `${layout.height}px` }} role="group" aria-label="Flow of events">
      <svg ref=${svg} width=${layout.width} height=${layout.height} aria-hidden="true">
        <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" markerUnits="userSpaceOnUse" orient="auto"><path d="M2 1 7 4 2 7" /></marker>
        ${layout.lines.map((l) => html`<path key=${`${l.from} ${l.to}`} d=${l.path} class=${l.deadLetters ? 'dead' : ''} data-from=${l.from} data-to=${l.to} />`)}
      </svg>
      ${layout.boxes.map((b) => html`<${Box} key=${b.id} box=${b} node=${nodes[b.id]} now=${state?.nodes?.[b.id]} selected=${selected === b.id} onSelect=${() => onSelect(b.id)} />`)}
    </div>
  </div>`;
}

function Details({ node, flow, now = {}, onClose }) {
  const close = useRef();
  useEffect(() => close.current.focus({ preventScroll: true }), [node.id]);
  const name = (id) => flow.nodes.find((n) => n.id === id)?.path ?? id;
  const from = flow.edges.filter((e) => e.to === node.id);
  const to = flow.edges.filter((e) => e.from === node.id);
  const rows = [
    ['kind', kindName(node.kind)],
    ['selects', node.kind === 'rule' && node.detail],
    ['fires', node.kind === 'schedule' && node.detail],
    ['now', summary(node, now)],
    ['from', from.map((e) => name(e.from)).join(', ')],
    ['enriched by', to.filter((e) => e.enriches).map((e) => name(e.to)).join(', ')],
    ['to', to.filter((e) => !e.deadLetters && !e.enriches).map((e) => name(e.to)).join(', ')],
    ['what fails', to.filter((e) => e.deadLetters).map((e) => name(e.to)).join(', ')],
    ['writes', node.writes && 'new events, to the outbox'],
    ['logical id', html`<code>${node.id}</code>`],
  ].filter(([, value]) => value);
  return html`<section class="details" aria-label="Details" onKeyDown=${(e) => e.key === 'Escape' && onClose()}>
    <h2>${node.path}</h2>
    <button type="button" class="close" ref=${close} aria-label="Close the details" onClick=${onClose}>×</button>
    <dl>${rows.map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>
    ${node.kind === 'dead-letters' && html`<a href="#/dead-letters">Show the dead letters</a>`}
  </section>`;
}

function Latest({ changed }) {
  const { value } = useGet(get, 'events?limit=8', [changed]);
  if (!value) return null;
  return html`<section class="latest"><h2>Latest events</h2>
    ${value.events.length === 0 && html`<p class="quiet">None yet. <a href="#/send">Send a request</a> to see one move.</p>`}
    <ul>${value.events.map((e) => html`<li key=${e.id}><a href=${`#/events/${encodeURIComponent(e.id)}`}><b>${e.type}</b><span>${e.aggregateType}#${e.aggregateId}</span><${State} of=${e.state} /><${When} at=${e.at} /></a></li>`)}</ul>
  </section>`;
}

function Needs({ state }) {
  if (!state?.needs?.length) return null;
  return html`<section class="needs" aria-live="polite"><h2>Needs a person</h2>
    <ul>${state.needs.map((n) => html`<li>${n.what}${n.do && html`<code>${n.do}</code>`}</li>`)}</ul></section>`;
}

export function Flow({ about, flow, state, changed }) {
  useNow();
  const [selected, select] = useState();
  const node = flow.nodes.find((n) => n.id === selected);
  const background = flow.nodes.filter((n) => n.background);
  const opener = useRef();
  const chip = (n) => html`<li key=${n.id}><button type="button" class="chip ${alarming(n, state?.nodes?.[n.id])}" aria-pressed=${selected === n.id} onClick=${(e) => open(n.id, e)}><${Icon} kind=${n.kind} />${n.path}${n.kind === 'dead-letters' && inQueue(state?.nodes?.[n.id]) > 0 && html` <b>${inQueue(state.nodes[n.id])}</b>`}</button></li>`;
  const open = (id) => {
    opener.current = document.activeElement;
    select(selected === id ? undefined : id);
  };
  const close = () => {
    select(undefined);
    opener.current?.focus();
  };
  return html`<h1 class="hidden">Flow</h1>
    <div class="columns">
      <div>
        <${Drawing} flow=${flow} state=${state} selected=${selected} onSelect=${open} />
        ${background.length > 0 && html`<section class="strip"><h2>In the background</h2><ul>${background.map(chip)}</ul></section>`}
        ${flow.others?.length > 0 && html`<section class="strip"><h2>Beside the flow</h2><ul>${flow.others.map((n) => html`<li class="chip"><${Icon} kind=${n.kind} />${n.path}</li>`)}</ul></section>`}
      </div>
      <aside>
        ${node && html`<${Details} node=${node} flow=${flow} now=${state?.nodes?.[node.id]} onClose=${close} />`}
        <${Needs} state=${state} />
        ${!about.eventsBySearch && html`<${Latest} changed=${changed} />`}
      </aside>
    </div>
    ${state?.problems?.map((p) => html`<p class="quiet">${p}</p>`)}`;
}
