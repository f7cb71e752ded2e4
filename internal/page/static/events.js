// The list of events: a window on as many as there are, of which only the visible ones are asked for and drawn.

import { html, useEffect, useLayoutEffect, useRef, useState } from './vendor/preact.js';
import { get } from './server.js';
import { count, Empty, Problem, short, State, states, useNow, When } from './ui.js';

const pageSize = 100;
const askEvery = 400; // milliseconds between two requests for events that have changed

// useWindow returns the events of a query by their index, and how many there are. It asks for the pages from first to last
// only, and again when something has changed.
function useWindow(query, first, last, changed) {
  const cache = useRef({ query: null, pages: new Map() });
  const [shown, show] = useState({ total: undefined, types: [] });
  const asked = useRef(0);
  if (cache.current.query !== query) cache.current = { query, pages: new Map() };
  useEffect(() => {
    const mine = cache.current;
    const wait = Math.max(0, askEvery - (Date.now() - asked.current));
    const timer = setTimeout(async () => {
      asked.current = Date.now();
      try {
        for (let page = Math.floor(first / pageSize); page <= Math.floor(last / pageSize); page++) {
          const list = await get(`events?${query}&offset=${page * pageSize}&limit=${pageSize}`);
          if (cache.current !== mine) return;
          mine.pages.set(page, list.events);
          show({ total: list.total, types: list.types ?? [] });
        }
      } catch (e) {
        show((s) => ({ ...s, problem: e.message }));
      }
    }, mine.pages.has(Math.floor(first / pageSize)) ? wait : 0);
    return () => clearTimeout(timer);
  }, [query, Math.floor(first / pageSize), Math.floor(last / pageSize), changed]);
  const at = (i) => cache.current.pages.get(Math.floor(i / pageSize))?.[i % pageSize];
  return { ...shown, at };
}

function Row({ event, index, total, height }) {
  const style = { top: `${index * height}px`, height: `${height}px` };
  if (!event) return html`<li style=${style} aria-hidden="true" class="loading" />`;
  return html`<li style=${style} aria-setsize=${total} aria-posinset=${index + 1}>
    <a href=${`#/events/${encodeURIComponent(event.id)}`} data-index=${index}>
      <${State} of=${event.state} /><b>${event.type}</b>
      <span class="about">${event.aggregateType}#${event.aggregateId}<small> v${event.version}</small></span>
      <code title=${event.id}>${short(event.id)}</code><${When} at=${event.at} />
    </a></li>`;
}

function List({ query, changed, onCount }) {
  useNow();
  const frame = useRef();
  const [view, setView] = useState({ top: 0, height: 800, row: 44 });
  const measure = () => {
    const f = frame.current;
    if (f) setView({ top: f.scrollTop, height: f.clientHeight, row: f.clientWidth < 640 ? 64 : 44 });
  };
  useLayoutEffect(() => {
    measure();
    const watch = new ResizeObserver(measure);
    watch.observe(frame.current);
    return () => watch.disconnect();
  }, []);
  const first = Math.max(0, Math.floor(view.top / view.row) - 5);
  const list = useWindow(query, first, first + Math.ceil(view.height / view.row) + 10, changed);
  const last = Math.min((list.total ?? 0) - 1, first + Math.ceil(view.height / view.row) + 10);
  useEffect(() => onCount(list), [list.total, list.types?.join()]);
  // The arrows go from one event to the next, also to those that are not drawn yet.
  const keys = (e) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[e.key];
    const index = Number(e.target.dataset?.index) + step;
    if (!step || !(index >= 0 && index < list.total)) return;
    e.preventDefault();
    const f = frame.current;
    if ((index + 1) * view.row > f.scrollTop + f.clientHeight) f.scrollTop = (index + 1) * view.row - f.clientHeight;
    if (index * view.row < f.scrollTop) f.scrollTop = index * view.row;
    const focus = () => f.querySelector(`[data-index="${index}"]`)?.focus({ preventScroll: true });
    if (f.querySelector(`[data-index="${index}"]`)) focus();
    else requestAnimationFrame(focus); // it is drawn then
  };
  // Rows that move in the document lose the focus. It goes back to where it was.
  const focused = document.activeElement?.dataset?.index;
  useLayoutEffect(() => {
    if (focused !== undefined && document.activeElement === document.body) {
      frame.current.querySelector(`[data-index="${focused}"]`)?.focus({ preventScroll: true });
    }
  });
  const rows = [];
  for (let i = first; i <= last; i++) rows.push(html`<${Row} key=${i} event=${list.at(i)} index=${i} total=${list.total} height=${view.row} />`);
  return html`<${Problem} text=${list.problem} />
    <div class="window" ref=${frame} onScroll=${measure} onKeyDown=${keys}>
      <ul style=${{ height: `${(list.total ?? 0) * view.row}px` }} aria-label="Events, the newest first">${rows}</ul>
    </div>
    ${list.total === 0 && html`<${Empty} title="No events">Nothing that this search selects has happened yet.<//>`}`;
}

function Search({ onSearch }) {
  const search = (e) => {
    e.preventDefault();
    onSearch(new FormData(e.target).get('q').trim());
  };
  return html`<form class="filters" onSubmit=${search} role="search">
    <label>Event or aggregate<input type="search" name="q" placeholder="0198c5a8-…, or Order#o-1" required autofocus /></label>
    <button type="submit">Trace</button>
  </form>`;
}

export function Events({ about, changed }) {
  const [filter, setFilter] = useState({ q: '', type: '', state: '' });
  const [known, setKnown] = useState({ total: undefined, types: [] });
  const set = (name) => (e) => setFilter({ ...filter, [name]: e.target.value });
  const query = new URLSearchParams(Object.entries(filter).filter(([, value]) => value)).toString();
  const bySearch = about.eventsBySearch;
  return html`<h1>Events</h1>
    ${bySearch && html`<${Search} onSearch=${(q) => setFilter({ ...filter, q })} />`}
    ${!bySearch && html`<div class="filters" role="search">
      <label>Search<input type="search" value=${filter.q} onInput=${set('q')} placeholder="id, aggregate, payload" /></label>
      <label>Type<select value=${filter.type} onChange=${set('type')}><option value="">all</option>${known.types.map((t) => html`<option>${t}</option>`)}</select></label>
      <label>State<select value=${filter.state} onChange=${set('state')}><option value="">all</option>${states.map((s) => html`<option>${s}</option>`)}</select></label>
    </div>`}
    <p class="quiet" role="status">${known.total === undefined ? '' : count(known.total, 'event')}</p>
    ${bySearch && !filter.q
      ? html`<${Empty} title="Search for an event">Say the id of an event or of an aggregate, such as Order#o-1, to see what became of it.<//>`
      : html`<${List} query=${query} changed=${changed} onCount=${setKnown} />`}`;
}
