/**
 * Questions to the lab. Of each verb one is on its way at a time and one may wait; a newer one takes the place of the one
 * that waits. So answers come in the order of the questions, and sliding never queues up.
 */

const PATIENCE = 1200; // milliseconds after which a question about another formula ends the one that is on its way
export const VISITOR = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const channels = new Map();
const watchers = [];

/** What the lab refused or could not do, in words. */
export class LabError extends Error {
  constructor({ kind, message, hint, position, width }) {
    super(message ?? "Something went wrong.");
    this.kind = kind;
    this.hint = hint ?? null;
    this.position = position ?? null;
    this.width = width ?? 1;
  }
}

/** Call `watcher(lost)` whenever the lab stops answering, and when it answers again. */
export function onLost(watcher) {
  watchers.push(watcher);
}

/** Ask for a verb; gives the reply, or undefined when a newer question took its place. Throws LabError. */
export function ask(verb, request) {
  if (!channels.has(verb)) channels.set(verb, { running: null, waiting: null });
  const channel = channels.get(verb);
  return new Promise((resolve, reject) => {
    channel.waiting?.resolve(undefined);
    channel.waiting = { request, resolve, reject };
    if (channel.running) hurry(channel);
    else next(verb, channel);
  });
}

/** Give up a question about another formula once it has had its time. */
function hurry(channel) {
  const { running, waiting } = channel;
  if (running.request.formula === waiting.request.formula) return;
  const left = PATIENCE - (performance.now() - running.begun);
  setTimeout(() => channel.running === running && channel.waiting && running.stop.abort(), Math.max(0, left));
}

async function next(verb, channel) {
  const job = channel.waiting;
  if (!job) return;
  channel.waiting = null;
  channel.running = Object.assign(job, { begun: performance.now(), stop: new AbortController() });
  try {
    job.resolve(await post(verb, job.request, job.stop.signal));
  } catch (error) {
    if (job.stop.signal.aborted) job.resolve(undefined);
    else job.reject(error);
  }
  channel.running = null;
  next(verb, channel);
}

async function post(verb, request, signal) {
  const response = await send(verb, JSON.stringify(request), signal);
  const told = await parsed(response, signal);
  if (response.ok) return told;
  if (told.error?.kind === "superseded") return undefined;
  throw new LabError(told.error ?? {});
}

/** Give the lab a file, to be kept in its memory; gives the key by which a request names it, as `table`. */
export async function upload(file) {
  const { signal } = new AbortController();
  const response = await send(`table?name=${encodeURIComponent(file.name)}`, file, signal);
  const told = await parsed(response, signal);
  if (!response.ok) throw new LabError(told.error ?? {});
  return told;
}

/**
 * Ask for a verb that tells as it goes on, and call `onPiece` with each piece. Ends when it has ended, when `signal` is
 * aborted, or when a newer question took its place; says by true whether all of it came. Throws LabError.
 */
export async function follow(verb, request, onPiece, signal) {
  try {
    const response = await send(verb, JSON.stringify(request), signal);
    if (!response.ok) throw new LabError((await parsed(response, signal)).error ?? {});
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop();
      for (const piece of lines.map((line) => JSON.parse(line))) {
        if (piece.error) throw new LabError(piece.error);
        if (Object.keys(piece).length) onPiece(piece);
      }
    }
    return true;
  } catch (error) {
    if (signal.aborted || error.kind === "superseded") return false;
    if (error instanceof LabError) throw error;
    throw lostNow();
  }
}

async function send(place, body, signal) {
  try {
    const headers = { "Content-Type": typeof body === "string" ? "application/json" : "application/octet-stream", "X-Visitor": VISITOR };
    const response = await fetch(`/api/${place}`, { method: "POST", headers, body, signal });
    tell(false);
    return response;
  } catch (error) {
    if (signal.aborted) throw error;
    throw lostNow();
  }
}

async function parsed(response, signal) {
  try {
    return await response.json();
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof SyntaxError) throw new LabError({ kind: "InternalError", message: "The lab gave an answer that makes no sense." });
    throw lostNow();
  }
}

function lostNow() {
  tell(true);
  return new LabError({ kind: "lost", message: "The lab does not answer." });
}

let lost = false;

function tell(now) {
  if (now === lost) return;
  lost = now;
  for (const watcher of watchers) watcher(now);
}
