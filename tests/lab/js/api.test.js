/** One request of each verb at a time, one that waits, and errors in words. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { LabError, ask, carryBy, eventsOf, follow, isThere, onLost, untilDone, upload } from "../../../src/downslope/lab/static/js/api.js";

/** Let `fetch` be answered by hand, and return its calls. */
function calls() {
  const list = [];
  globalThis.fetch = (url, { body, signal }) => new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
    list.push({ url, request: typeof body === "string" ? JSON.parse(body) : body, answer: (reply, status = 200) => resolve(new Response(JSON.stringify(reply), { status })), reject });
  });
  return list;
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

test("of requests that come while one runs only the newest is sent", async () => {
  const sent = calls();
  const [first, second, third] = [1, 2, 3].map((rate) => ask("descend", { formula: "x", rate }));
  sent[0].answer({ rate: 1 });
  assert.deepEqual(await first, { rate: 1 });
  assert.equal(await second, undefined);
  await turn();
  assert.deepEqual(sent.map(({ request }) => request.rate), [1, 3]);
  sent[1].answer({ rate: 3 });
  assert.deepEqual(await third, { rate: 3 });
});

test("an error of the lab is thrown with its hint and its position", async () => {
  const sent = calls();
  const refused = ask("read", { formula: "2x +" });
  sent[0].answer({ error: { kind: "FormulaError", message: "it ends early", hint: "go on", position: 4, width: 1 } }, 400);
  await assert.rejects(refused, (error) => error instanceof LabError && error.position === 4 && error.hint === "go on");
});

test("a request that the lab dropped for a newer one is undefined", async () => {
  const sent = calls();
  const dropped = ask("rates", {});
  sent[0].answer({ error: { kind: "superseded" } }, 409);
  assert.equal(await dropped, undefined);
});

test("a lab that does not answer is lost until it answers again", async () => {
  const states = [];
  onLost((lost) => states.push(lost));
  const sent = calls();
  const unanswered = ask("steps", {});
  sent[0].reject(new TypeError("connection refused"));
  await assert.rejects(unanswered, { kind: "lost" });
  const answered = ask("steps", {});
  await turn();
  sent[1].answer({});
  await answered;
  assert.deepEqual(states, [true, false]);
});

test("a list that a page needs once comes when the lab answers again", async () => {
  const sent = calls();
  const list = untilDone(() => ask("methods", {}));
  sent[0].reject(new TypeError("connection refused"));
  await turn();
  const there = isThere();
  sent[1].answer({});
  await there;
  await turn();
  sent[2].answer({ methods: ["adam"] });
  assert.deepEqual(await list, { methods: ["adam"] });
});

test("a fault of the page's own is not tried again", async () => {
  await assert.rejects(untilDone(async () => { throw new RangeError("a fault"); }), RangeError);
});

test("a lab that was restarted is locked until its new address was opened", async () => {
  const states = [];
  onLost((lost, isLocked) => states.push([lost, isLocked]));
  const sent = calls();
  const refused = ask("steps", {});
  sent[0].answer({ error: { kind: "TokenError" } }, 403);
  await assert.rejects(refused, { kind: "locked", hint: "Open the address that it printed." });
  const there = [isThere(), isThere(), isThere()];
  sent[1].answer({}, 403);
  sent[2].reject(new TypeError("connection refused"));
  assert.deepEqual([await there[0], await there[1]], [false, false]);
  sent[3].answer({});
  assert.equal(await there[2], true);
  assert.deepEqual(states, [[true, true], [true, false], [false, false]]);
});

test("a file that the lab has no more is sent again", async () => {
  const sent = calls();
  const uploaded = upload(new File(["x,y\n1,2\n"], "a.csv"));
  sent[0].answer({ table: "key" });
  await uploaded;
  for (const request of [() => ask("columns", { table: "key" }), () => follow("train", { table: "key" }, () => {}, new AbortController().signal)]) {
    const before = sent.length;
    const answered = request();
    await turn();
    sent[before].answer({ error: { kind: "TableGoneError", message: "gone" } }, 410);
    await turn();
    assert.equal(sent[before + 1].url, "api/table?name=a.csv");
    assert.equal(await sent[before + 1].request.text(), "x,y\n1,2\n");
    sent[before + 1].answer({ table: "key" });
    await turn();
    assert.deepEqual(sent[before + 2].request, { table: "key" });
    sent[before + 2].answer({});
    await answered;
  }
  const another = ask("columns", { table: "unknown" });
  await turn();
  sent.at(-1).answer({ error: { kind: "TableGoneError", message: "gone" } }, 410);
  await assert.rejects(another, { kind: "TableGoneError" });
});

test("a stream gives its pieces line by line, wherever the network cuts it", async () => {
  const cuts = ['data: {"step": 1}\n\nda', 'ta: {"st', 'ep": 2}\n\ndata: {}\n', '\ndata: {"step": 3}\n\n'];
  const body = new ReadableStream({
    start(controller) {
      for (const cut of cuts) controller.enqueue(new TextEncoder().encode(cut));
      controller.close();
    },
  });
  globalThis.fetch = async () => new Response(body);
  const pieces = [];
  assert.equal(await follow("train", {}, (piece) => pieces.push(piece.step), new AbortController().signal), true);
  assert.deepEqual(pieces, [1, 2, 3]); // an empty piece only keeps the line open
});

test("an error within a stream is thrown", async () => {
  globalThis.fetch = async () => new Response('data: {"step": 1}\n\ndata: {"error": {"kind": "DataError", "message": "no rows"}}\n\n');
  await assert.rejects(follow("train", {}, () => {}, new AbortController().signal), { kind: "DataError", message: "no rows" });
});

test("another carrier takes the requests, with the type of reply that is wanted", async () => {
  const carried = [];
  carryBy(async (path, { method, headers }) => {
    carried.push([path, method, headers.Accept]);
    return new Response(headers.Accept === "text/event-stream" ? 'data: {"step": 1}\n\n' : "{}");
  });
  const pieces = [];
  await ask("any", {});
  await follow("train", {}, (piece) => pieces.push(piece.step), new AbortController().signal);
  assert.deepEqual(carried, [["any", "POST", "application/json"], ["train", "POST", "text/event-stream"]]);
  assert.deepEqual(pieces, [1]);
  assert.equal(eventsOf("a run"), null);
});
