/**
 * Requests to the lab. For each verb one request runs at a time and one may wait; a newer one replaces the one that waits.
 * So replies come in the order of the requests, and sliding never queues up.
 */

/** @import { Trouble } from "./types.d.ts" */

import { keep, kept } from "./shelf.js";

/**
 * @typedef {Record<string, any>} Request
 * @typedef {{ request: Request, resolve: (reply: any) => void, reject: (error: unknown) => void }} Waiting
 * @typedef {Waiting & { begun: number, stop: AbortController }} Running
 * @typedef {{ running: Running | null, waiting: Waiting | null }} Channel
 */

const PAUSE = 1000, LONGEST_PAUSE = 30_000; // milliseconds between two tries of what a page needs once
/** Proxies pass on as it comes what is asked for by this name alone. */
const STREAM = "text/event-stream";
const DATA = "data: ";
const PATIENCE = 1200; // milliseconds after which a request about another formula ends the running one
/**
 * Carries a request to the lab, as `fetch` does; a page that the lab does not serve has another carrier.
 *
 * @typedef {(path: string, options: RequestInit) => Promise<Response>} Carrier
 * @type {Carrier}
 */
let carry = (path, options) => fetch(`api/${path}`, options);
let isServed = true;
/** Names this visit, so that the lab keeps its programs compiled between two requests. */
export const VISITOR = Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** @type {Map<string, Channel>} */
const channels = new Map();
/** @type {((lost: boolean, isLocked: boolean) => void)[]} */
const watchers = [];
/** Files that the lab was given, by key, the latest last: a lab that was restarted has none of them. @type {Map<string, File>} */
const files = new Map();
const FILES = 4;

/** Carry requests otherwise than to the server of the page. @param {Carrier} carrier */
export function carryBy(carrier) {
  carry = carrier;
  isServed = false;
}

/** Return a static file of the lab. @param {string} path */
export function fileOf(path) {
  return isServed ? fetch(`static/${path}`) : carry(`static/${path}`, {});
}

/** Return the events of a run while it is written, or null where the page has to look for itself. @param {string} run */
export function eventsOf(run) {
  return isServed ? new EventSource(`api/follow?run=${encodeURIComponent(run)}&visitor=${VISITOR}`) : null;
}

/** What the lab refused or could not do, in words. */
export class LabError extends Error {
  /** @param {Partial<Trouble>} trouble */
  constructor({ kind, message, hint, position, width }) {
    super(message ?? "Something went wrong.");
    this.kind = kind;
    this.hint = hint ?? null;
    this.position = position ?? null;
    this.width = width ?? 1;
  }
}

/**
 * Call a watcher whenever the lab stops answering, and when it answers again. A lab that was restarted is locked to this page
 * until its new address was opened in the same browser.
 *
 * @param {(lost: boolean, isLocked: boolean) => void} watcher
 */
export function onLost(watcher) {
  watchers.push(watcher);
}

/**
 * Request a verb; gives the reply, or undefined when a newer request replaced it. Throws LabError.
 *
 * @param {string} verb
 * @param {Request} request
 * @returns {Promise<any>}
 */
export function ask(verb, request) {
  const channel = channels.get(verb) ?? { running: null, waiting: null };
  channels.set(verb, channel);
  return new Promise((resolve, reject) => {
    channel.waiting?.resolve(undefined);
    channel.waiting = { request, resolve, reject };
    if (channel.running) hurry(channel, channel.running, request);
    else next(verb, channel);
  });
}

/**
 * End a running request about another formula once it has had its time.
 *
 * @param {Channel} channel
 * @param {Running} running
 * @param {Request} request the one that waits
 */
function hurry(channel, running, request) {
  if (running.request.formula === request.formula) return;
  const left = PATIENCE - (performance.now() - running.begun);
  setTimeout(() => channel.running === running && channel.waiting && running.stop.abort(), Math.max(0, left));
}

/**
 * @param {string} verb
 * @param {Channel} channel
 */
async function next(verb, channel) {
  if (!channel.waiting) return;
  const job = Object.assign(channel.waiting, { begun: performance.now(), stop: new AbortController() });
  channel.waiting = null;
  channel.running = job;
  try {
    job.resolve(await post(verb, job.request, job.stop.signal));
  } catch (error) {
    if (job.stop.signal.aborted) job.resolve(undefined);
    else job.reject(error);
  }
  channel.running = null;
  next(verb, channel);
}

/**
 * @param {string} verb
 * @param {Request} request
 * @param {AbortSignal} signal
 */
async function post(verb, request, signal) {
  const response = await sendWithFile(verb, request, signal);
  const reply = await parsed(response, signal);
  if (response.ok) return reply;
  if (reply.error?.kind === "superseded") return undefined;
  throw new LabError(reply.error ?? {});
}

/**
 * Send the lab a file, to be kept in its memory; gives the key by which a request names it, as `table`.
 *
 * @param {File} file
 */
export async function upload(file) {
  const { signal } = new AbortController();
  const response = await sendFile(file, signal);
  const reply = await parsed(response, signal);
  if (!response.ok) throw new LabError(reply.error ?? {});
  // A copy: a file that is changed on the disk cannot be read any more, and would be another table.
  files.delete(reply.table);
  const copied = new File([await file.arrayBuffer()], file.name);
  files.set(reply.table, copied);
  keep(reply.table, copied);
  for (const key of [...files.keys()].slice(0, -FILES)) files.delete(key);
  return reply;
}

/**
 * @param {File} file
 * @param {AbortSignal} signal
 */
function sendFile(file, signal) {
  return send(`table?name=${encodeURIComponent(file.name)}`, file, signal);
}

/**
 * Send a request; if the lab does not have its file any more, send that again before.
 *
 * @param {string} verb
 * @param {Request} request
 * @param {AbortSignal} signal
 * @param {string} [accept] the type of the reply
 */
async function sendWithFile(verb, request, signal, accept) {
  const response = await send(verb, JSON.stringify(request), signal, accept);
  if (response.status !== 410) return response;
  const file = files.get(request.table) ?? (await kept(request.table));
  if (!file) return response;
  files.set(request.table, file);
  const sent = await sendFile(file, signal);
  return sent.ok ? send(verb, JSON.stringify(request), signal, accept) : response;
}

/** Return whether the lab answers, and lets this page in. */
export async function isThere() {
  const { signal } = new AbortController();
  try {
    return (await send("alive", null, signal)).ok;
  } catch {
    return false;
  }
}

/**
 * Do what a page needs once, such as filling a menu: again when a lab that was lost answers, and after a while where it refused.
 *
 * @template Result
 * @param {() => Promise<Result>} work
 * @returns {Promise<Result>}
 */
export async function untilDone(work) {
  for (let pause = PAUSE; ; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof LabError)) throw error;
      await (lost || locked ? new Promise((resolve) => waiting.push(resolve)) : new Promise((resolve) => setTimeout(resolve, pause)));
    }
  }
}

/**
 * Return a list that never changes: the one that the page was served with, else the lab's, requested until it answers.
 *
 * @param {string} verb
 * @returns {Promise<any>}
 */
export async function listOf(verb) {
  const served = JSON.parse(document.getElementById("lists")?.textContent ?? "{}");
  return served[verb] ?? untilDone(() => ask(verb, {}));
}

/**
 * Request a verb that streams its reply, and call `onPiece` with each piece. Ends with the reply, when `signal` is aborted,
 * or when a newer request replaced it; true if all of it came. Throws LabError.
 *
 * @template Piece
 * @param {string} verb
 * @param {Request} request
 * @param {(piece: Piece) => void} onPiece
 * @param {AbortSignal} signal
 */
export async function follow(verb, request, onPiece, signal) {
  try {
    const response = await sendWithFile(verb, request, signal, STREAM);
    if (!response.ok) throw new LabError((await parsed(response, signal)).error ?? {});
    if (!response.body) throw lostNow();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      const lines = (rest + read.value).split("\n");
      rest = lines.pop() ?? "";
      const pieces = lines.filter((line) => line.startsWith(DATA)).map((line) => JSON.parse(line.slice(DATA.length)));
      for (const piece of pieces) {
        if (piece.error) throw new LabError(piece.error);
        if (Object.keys(piece).length) onPiece(piece);
      }
    }
    return true;
  } catch (error) {
    if (signal.aborted) return false;
    if (error instanceof LabError && error.kind === "superseded") return false;
    if (error instanceof LabError) throw error;
    throw lostNow();
  }
}

/**
 * @param {string} path
 * @param {string | File | null} body null to read
 * @param {AbortSignal} signal
 * @param {string} [accept] the type of the reply
 */
async function send(path, body, signal, accept = "application/json") {
  let response;
  try {
    const type = typeof body === "string" ? "application/json" : "application/octet-stream";
    const headers = { "Accept": accept, "Content-Type": type, "X-Visitor": VISITOR };
    response = await carry(path, { method: body === null ? "GET" : "POST", headers, body, signal });
  } catch (error) {
    if (signal.aborted) throw error;
    throw lostNow();
  }
  // Among the requests of the lab's own page, only those without its token are refused with this status.
  if (response.status === 403) throw lockedNow();
  notify(false, false);
  return response;
}

/**
 * @param {Response} response
 * @param {AbortSignal} signal
 * @returns {Promise<any>}
 */
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
  notify(true, false);
  return new LabError({ kind: "lost", message: "The lab does not answer." });
}

function lockedNow() {
  notify(true, true);
  return new LabError({ kind: "locked", message: "The lab was restarted.", hint: "Open the address that it printed." });
}

let lost = false, locked = false;
/** What goes on when the lab answers again. @type {((value?: unknown) => void)[]} */
const waiting = [];

/**
 * @param {boolean} isLost
 * @param {boolean} isLocked
 */
function notify(isLost, isLocked) {
  if (isLost === lost && isLocked === locked) return;
  [lost, locked] = [isLost, isLocked];
  for (const watcher of watchers) watcher(lost, locked);
  if (!lost && !locked) for (const resolve of waiting.splice(0)) resolve();
}
