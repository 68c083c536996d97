"use strict";

const assert = require("node:assert/strict");
const { test } = require("node:test");

const { wrapOpenAI } = require("../index.cjs");

const BODY = { model: "m", messages: [{ role: "user", content: "Hi" }] };

/** A client as the package `openai` has it, whose answers are given: responses, or errors. */
class Client {
  constructor(answers, sent = []) {
    Object.assign(this, { answers, sent, images: { _client: this } });
  }

  withOptions() {
    return new Client(this.answers, this.sent);
  }

  async makeRequest(options) {
    this.sent.push(options.body);
    const answer = this.answers.shift();
    if (answer instanceof Error) throw answer;
    return { response: answer, options };
  }

  post(path, body = BODY) {
    return this.makeRequest({ method: "post", path, body });
  }
}

/** A router that notes how calls end. Its decision has two models. */
function noting() {
  const ended = [];
  const model = { name: "nano", arguments: { model: "nano" }, fallbacks: [{ name: "mini", arguments: { model: "mini" } }] };
  const reserveBody = async (body, { attributes }) => ({
    body,
    attributes,
    model,
    expiresAt: null,
    async settle(usage, { model: name }) {
      if (!this.isOver) ended.push([name, usage?.usage ?? "all"]);
      this.isOver = true;
    },
    async release() {
      ended.push("released");
    },
  });
  return { ended, reserveBody };
}

const json = (value) => new Response(JSON.stringify(value), { headers: { "content-type": "application/json" } });

function streamed(...pieces) {
  const bytes = pieces.map((piece) => (piece instanceof Error ? piece : new TextEncoder().encode(piece)));
  const body = new ReadableStream({
    pull(controller) {
      const next = bytes.shift();
      if (next === undefined) controller.close();
      else if (next instanceof Error) controller.error(next);
      else controller.enqueue(next);
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function failure(name, status) {
  return Object.assign(new (class extends Error {})(name), { status, constructor: { name } });
}

async function ask(answers, options, body) {
  const router = noting();
  const client = wrapOpenAI(new Client(answers), router, options);
  const found = await client.post("/chat/completions", body).catch((error) => ({ error }));
  return { ...found, router, client };
}

test("an answer is settled when it is read", async () => {
  const { response, router } = await ask([json({ usage: { total_tokens: 3 } })]);
  assert.deepEqual(router.ended, []);
  assert.equal((await response.json()).usage.total_tokens, 3);
  assert.deepEqual(router.ended, [["nano", { total_tokens: 3 }]]);
});

test("one that cannot be read, or breaks off, is charged what is held", async () => {
  const { response, router } = await ask([new Response("<html>")]);
  assert.equal(await response.text(), "<html>");
  assert.deepEqual(router.ended, [["nano", "all"]]);
  const cut = await ask([streamed("data: {}\n\n", new TypeError("terminated"))]);
  await assert.rejects(cut.response.text(), /terminated/);
  assert.deepEqual(cut.router.ended, [["nano", "all"]]);
});

test("a stream shows its usage to who asked for it, however its bytes come", async () => {
  const last = 'data: {"choices":[],"usage":{"total_tokens":7}}\r\n\r\n';
  const whole = `: ping\n\ndata: {"choices":[{"delta":{"content":"ü"}}]}\n\n${last}data: [DONE]\n\n`;
  for (const asks of [true, false]) {
    for (const size of [1, 7, 1000]) {
      const bytes = Buffer.from(whole);
      const pieces = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
      const body = { ...BODY, stream: true, ...(asks && { stream_options: { include_usage: true } }) };
      const answer = streamed();
      const given = new Response(new ReadableStream({
        pull: (controller) => (pieces.length ? controller.enqueue(pieces.shift()) : controller.close()),
      }), { headers: answer.headers });
      const { response, router, client } = await ask([given], {}, body);
      assert.equal(await response.text(), asks ? whole : whole.replace(last, ""));
      assert.deepEqual(router.ended, [["nano", { total_tokens: 7 }]]);
      assert.deepEqual(client.sent, [{ model: "nano" }]);
    }
  }
});

test("a stream that is left is charged what is held, without waiting for its provider", async () => {
  const stalled = new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
  const { response, router } = await ask([stalled]);
  const reader = response.body.getReader();
  const reading = reader.read();
  await reader.cancel();
  assert.equal((await reading).done, true);
  assert.deepEqual(router.ended, [["nano", "all"]]);
});

test("a fallback is an attempt on a hold of its own", async () => {
  const { response, router, client } = await ask([failure("APIConnectionError"), json({ usage: { total_tokens: 1 } })]);
  await response.text();
  assert.deepEqual(client.sent, [{ model: "nano" }, { model: "mini" }]);
  assert.deepEqual(router.ended, ["released", ["mini", { total_tokens: 1 }]]);
});

test("failures that may have cost are charged if that is asked for", async () => {
  const answers = () => [failure("InternalServerError", 500), failure("RateLimitError", 429)];
  const { error, router } = await ask(answers(), { chargeFailures: true });
  assert.equal(error.status, 429);
  assert.deepEqual(router.ended, [["nano", "all"], "released"]);
  assert.deepEqual((await ask(answers())).router.ended, ["released", "released"]);
  const refused = await ask([failure("BadRequestError", 400)]);
  assert.deepEqual(refused.router.ended, ["released"]);
  assert.equal(refused.client.sent.length, 1);
});

test("who asks is given by the client, and added to by a call", async () => {
  const router = noting();
  let asked;
  const reserveBody = (body, options) => ((asked = { body, ...options }), router.reserveBody(body, options));
  const client = wrapOpenAI(new Client([json({}), json({})]), { reserveBody }, { attributes: async () => ({ team: "red" }) });
  await client.post("/chat/completions", { ...BODY, costlens: { task: "chat" } });
  assert.deepEqual([asked.attributes, asked.body], [{ team: "red", task: "chat" }, BODY]);
  await assert.rejects(client.post("/chat/completions", { ...BODY, costlens: { team: "rich" } }), /must not replace/);
  for (const costlens of ["red", null, ["red"]]) {
    await assert.rejects(client.post("/chat/completions", { ...BODY, costlens }), /`costlens` of a call must be an object/);
  }
  const other = wrapOpenAI(new Client([]), noting(), { attributes: () => "red" });
  await assert.rejects(other.post("/chat/completions"), /what `attributes` returns must be an object/);
});

test("what nobody counts is refused, unless it is named", async () => {
  const client = wrapOpenAI(new Client([json({}), json({})]), noting(), { unguarded: ["images", "/rerank"] });
  for (const path of ["/audio/speech", "/batches", "/chat/completions?x", "/images/../chat/completions", "/imagess"]) {
    await assert.rejects(client.post(path), { name: "TypeError", message: /neither decided nor counted/ });
    await assert.rejects(client.withOptions({}).post(path), TypeError);
  }
  for (const [path, advice] of [
    ["/files/../chat/completions", /without empty, `\.` and `\.\.` segments$/],
    ["/chat/completions?x=1", /post to `\/chat\/completions` as the package does, with any query in the options/],
    ["/v1/responses", /post to `\/responses` as the package does/],
    ["/audio/speech?x=1", /with `unguarded: \["\/audio\/speech"\]`$/],
  ]) {
    await assert.rejects(client.post(path), advice);
  }
  await client.post("/images/generations");
  await client.post("/rerank");
  assert.equal(client.sent.length, 2);
});

test("wrong use is reported", () => {
  const client = new Client([]);
  assert.throws(() => wrapOpenAI(client, noting(), { attribute: {} }), /no option `attribute`/);
  assert.throws(() => wrapOpenAI({}, noting()), /must be a client of the package `openai`/);
  for (const router of [undefined, null, {}, "http://localhost"]) {
    assert.throws(() => wrapOpenAI(client, router), /router must be a `Router`/);
  }
  assert.throws(() => wrapOpenAI(client, noting(), null), /the options of a wrapped client must be an object/);
  assert.throws(() => wrapOpenAI(client, noting(), { attributes: "red" }), /`attributes` must be an object, got a string/);
  assert.throws(() => wrapOpenAI(wrapOpenAI(client, noting()), noting()), /wrapped already/);
  for (const unguarded of ["images", ["imagez"], [""], [7]]) {
    assert.throws(() => wrapOpenAI(client, noting(), { unguarded }), TypeError);
  }
});
