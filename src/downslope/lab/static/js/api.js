/**
 * Questions to the lab. Of each verb one is on its way at a time and one may wait; a newer one takes the place of the one
 * that waits. So answers come in the order of the questions, and sliding never queues up.
 */

const PATIENCE = 1200; // milliseconds after which a question about another formula ends the one that is on its way
const VISITOR = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

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
  let response;
  let told;
  try {
    response = await fetch(`/api/${verb}`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-Visitor": VISITOR },
      body: JSON.stringify(request),
      signal,
    });
    told = await response.json();
  } catch (error) {
    if (signal.aborted) throw error;
    if (error instanceof SyntaxError) throw new LabError({ kind: "InternalError", message: "The lab gave an answer that makes no sense." });
    tell(true);
    throw new LabError({ kind: "lost", message: "The lab does not answer." });
  }
  tell(false);
  if (response.ok) return told;
  if (told.error?.kind === "superseded") return undefined;
  throw new LabError(told.error ?? {});
}

let lost = false;

function tell(now) {
  if (now === lost) return;
  lost = now;
  for (const watcher of watchers) watcher(now);
}
