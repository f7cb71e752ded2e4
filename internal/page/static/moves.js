// Who is told of what moves. Listeners draw by themselves: a page that draws all of itself for each event would be slow.

const listeners = new Set();

export function onMoves(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const tell = (moves) => listeners.forEach((listener) => listener(moves));
