// What the page asks its server for, and what the server tells it.

const token = document.querySelector('meta[name=outbox-token]').content;

async function answer(response) {
  const body = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (!response.ok) throw new Error(body.error);
  return body;
}

export const get = async (path) => answer(await fetch(`/api/${path}`));

// post changes something: the token shows that this page asks for it.
export const post = async (path, body) =>
  answer(await fetch(`/api/${path}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'Outbox-Token': token },
    body: JSON.stringify(body ?? {}),
  }));

// follow calls on.message with each message of the stream, and on.connected when the stream begins or breaks.
export function follow(on) {
  const stream = new EventSource('/api/changes');
  stream.onopen = () => on.connected(true);
  stream.onerror = () => on.connected(false);
  stream.onmessage = (e) => on.message(JSON.parse(e.data));
  return () => stream.close();
}
