"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const { after, before, test } = require("node:test");
const { inspect } = require("node:util");

const { DeniedError, Router, ServiceError, UnavailableError } = require("../index.cjs");

const CALL = {
  model: "nano", provider: "acme", prompt: "Always respond concisely. Hi", system: null, messages: null,
  params: { max_output_tokens: 100 }, arguments: { model: "nano" },
  estimate: { cost_usd: "0.0012", worst_cost_usd: "0.0012", prompt_tokens: 2, output_tokens: 100, completions: 1, basis: "estimate" },
};
const DECISION = {
  allow: true, model: "nano", fallbacks: ["mini"], rule: "default", reasons: ["routes: no route matches"],
  calls: [CALL, { ...CALL, model: "mini", prompt: "Hi" }], excluded: [], alerts: [], policy_digest: "a", catalogue_digest: "b",
};
const REFUSAL = { message: "no room", type: "billing_error", code: "budget_exceeded", param: null, rule: "default",
  budget: "p/team", key: "red", resets_at: "2026-06-01T00:00:00+00:00" };

let server;
let router;
const asked = [];
const answers = [];

before(async () => {
  server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      const text = Buffer.concat(parts).toString();
      asked.push({ method: request.method, url: request.url, headers: request.headers, body: text && JSON.parse(text) });
      const { status = 200, body, headers = {}, hangs } = answers.shift();
      if (hangs) return;
      response.writeHead(status, headers);
      response.end(typeof body === "string" ? body : JSON.stringify(body));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  router = new Router({ url: `http://127.0.0.1:${server.address().port}`, key: "clp_a_b", retries: 2, timeout: 500 });
});

after(() => {
  router.close();
  server.closeAllConnections?.();
  server.close();
});

function answer(...given) {
  asked.length = 0;
  answers.length = 0;
  answers.push(...given);
}

test("the optimal model has its name, prompt, parameters and fallbacks", async () => {
  answer({ body: DECISION });
  const model = await router.getOptimalModel({ task: "summarization", prompt: "Hi", costBudget: 0.01 });
  assert.equal(model.name, "nano");
  assert.equal(model.prompt, "Always respond concisely. Hi");
  assert.deepEqual(model.parameters, { max_output_tokens: 100 });
  assert.deepEqual(model.fallbacks.map((item) => [item.name, item.prompt]), [["mini", "Hi"]]);
  assert.equal(model.estimatedCost, 0.0012);
  assert.equal(asked[0].headers.authorization, "Bearer clp_a_b");
  assert.deepEqual(asked[0].body.request, { task: "summarization", prompt: "Hi", cost_budget: 0.01 });
});

test("a denial is an error of the optimal model, and an answer of decide", async () => {
  const denied = { ...DECISION, allow: false, model: null, calls: [], reasons: ["access: denied by `p/a`"], rule: "p/a" };
  answer({ body: denied }, { body: denied });
  await assert.rejects(router.getOptimalModel({ prompt: "Hi" }), (error) => {
    assert.ok(error instanceof DeniedError);
    assert.equal(error.rule, "p/a");
    return /denied by/.test(error.message);
  });
  assert.equal((await router.decide({ prompt: "Hi" })).allow, false);
});

test("one attribute is not given twice", async () => {
  await assert.rejects(async () => router.decide({ costBudget: 1, cost_budget: 2 }), TypeError);
});

test("a reservation keeps its id when it is repeated, and is settled once", async () => {
  const held = [{ budget: "p/team", key: "red", unit: "usd", amount: "0.0012" }];
  answer(
    { status: 503, body: { error: { ...REFUSAL, code: "overloaded" } }, headers: { "retry-after": "0" } },
    { body: { id: "x", expires_at: "2026-06-01T00:00:00Z", held, decision: DECISION } },
    { body: { id: "x", cost_usd: "0.001" } },
  );
  const reservation = await router.reserve({ prompt: "Hi" });
  assert.equal(asked[0].body.id, asked[1].body.id);
  assert.equal(reservation.model.name, "nano");
  const charge = await reservation.settle({ prompt_tokens: 1 }, { model: "mini" });
  assert.equal(await reservation.settle({ prompt_tokens: 9 }), charge);
  await reservation.release();
  assert.equal(asked.length, 3);
  assert.deepEqual(asked[2].body, { id: "x", usage: { prompt_tokens: 1 }, model: "mini" });
});

test("what no budget counts is settled, too", async () => {
  answer({ body: { id: "x", expires_at: null, held: [], decision: DECISION } }, { body: { id: "x", cost_usd: "0.001" } });
  const reservation = await router.reserve({ prompt: "Hi" });
  assert.equal((await reservation.settle({ prompt_tokens: 1 })).cost_usd, "0.001");
});

test("refusals are typed", async () => {
  answer({ status: 402, body: { type: "error", error: REFUSAL } }, { status: 409, body: { error: { ...REFUSAL, code: "call_conflict" } } });
  await assert.rejects(router.reserve({ prompt: "Hi" }), (error) => {
    assert.ok(error instanceof DeniedError);
    assert.deepEqual([error.status, error.budget, error.key], [402, "p/team", "red"]);
    assert.equal(error.resetsAt.toISOString(), "2026-06-01T00:00:00.000Z");
    return true;
  });
  await assert.rejects(router.settle("x"), (error) => error instanceof ServiceError && error.code === "call_conflict");
});

test("who never answers is given up", async () => {
  answer({ hangs: true }, { hangs: true }, { hangs: true });
  await assert.rejects(router.ready(), (error) => error instanceof UnavailableError && /500 ms/.test(error.message));
  assert.equal(asked.length, 3);
});

test("what is no answer of the service is said so", async () => {
  for (const body of ["", "<html>", "3", "null"]) {
    answer({ body }, { status: 502, body });
    await assert.rejects(router.ready(), (error) => error.code === "unreadable" && error.status === 200);
    await assert.rejects(router.ready(), (error) => error.code === "unreadable" && error.status === 502);
  }
});

test("a URL that is none is refused", () => {
  for (const url of ["ftp://x", "foo", "", "http://", "unix:", "http://x:99999", 3]) {
    assert.throws(() => new Router({ url }), { name: "TypeError", message: /^url must be/ });
  }
});

test("options that nobody reads, and numbers that are none, are refused", async () => {
  for (const options of [{ uri: "x" }, { timeout: NaN }, { timeout: "5s" }, { retries: -1 }, { retries: 1.5 }]) {
    assert.throws(() => new Router(options), TypeError);
  }
  answer();
  await assert.rejects(router.reserve({ prompt: "Hi" }, { leese: "1m" }), /no option `leese`/);
  await assert.rejects(router.settle("x", {}, { modle: "m" }), /no option `modle`/);
  await assert.rejects(router.decide({ costBudget: NaN }), /must be finite/);
  assert.equal(asked.length, 0);
});

test("a service may stand below a path, and attributes may have any name", async () => {
  const below = new Router({ url: `http://127.0.0.1:${server.address().port}/policies/` });
  answer({ body: DECISION }, { body: { budgets: [] } });
  await below.decide(JSON.parse('{"constructor": "x", "__proto__": 3}'));
  await below.spend({ key: "a b" });
  assert.deepEqual(asked.map(({ url }) => url), ["/policies/v1/decide", "/policies/v1/spend?key=a+b"]);
  assert.equal(JSON.stringify(asked[0].body.request), '{"constructor":"x","__proto__":3}');
  below.close();
});

test("a key that cannot be sent is refused and not shown, and white space around one is not sent", async () => {
  for (const key of ["", " ", "clp_secret\nx", "clp_secret x", "clp_secret\u00e9", 3]) {
    assert.throws(() => new Router({ key }), (error) => error instanceof TypeError && !/secret/.test(error.message));
  }
  const url = `http://127.0.0.1:${server.address().port}`;
  const spaced = new Router({ url, key: " clp_a_b\n" });
  answer({ body: DECISION });
  await spaced.decide({ prompt: "Hi" });
  assert.equal(asked[0].headers.authorization, "Bearer clp_a_b");
  spaced.close();
});

test("nothing that prints a router prints its key", async () => {
  answer({ body: { id: "x", expires_at: null, held: [], decision: DECISION } });
  const reservation = await router.reserve({ prompt: "Hi" });
  for (const value of [router, { router }, reservation]) {
    for (const depth of [2, null]) {
      const text = inspect(value, { depth, showHidden: true, customInspect: depth === 2 });
      assert.ok(!text.includes("clp_a_b"), text);
    }
    assert.ok(!JSON.stringify(value).includes("clp_a_b"));
  }
});

test("what would arrive as something else is not sent", async () => {
  answer();
  const lost = [() => "Hi", Symbol("Hi"), undefined, new Map(), new Set(), Buffer.from("Hi"), new Uint8Array(2), Promise.resolve("Hi")];
  for (const prompt of lost) {
    for (const ask of [() => router.getOptimalModel({ prompt }), () => router.decideAll([{ prompt }]), () => router.reserve({ prompt })]) {
      await assert.rejects(ask(), { name: "TypeError", message: /`prompt` must have a value of JSON/ });
    }
  }
  await assert.rejects(router.decide({ messages: [undefined] }), /got undefined/);
  await assert.rejects(router.decide({ messages: [{ content: () => "Hi" }] }), /`content` must have a value of JSON, got a function/);
  await assert.rejects(router.settle("a", { total_tokens: NaN }), /must be finite/);
  for (const request of [undefined, null, "hi", ["hi"], 5]) {
    for (const ask of ["getOptimalModel", "decide", "explain", "models", "reserve"]) {
      await assert.rejects(router[ask](request), { name: "TypeError", message: /a request must be an object/ });
    }
  }
  await assert.rejects(router.decideAll({ prompt: "Hi" }), /must be a list/);
  assert.deepEqual(asked, []);
});

test("an option that nobody reads is refused", async () => {
  answer();
  await assert.rejects(router.spend({ budgt: "team" }), /no option `budgt`; it has budget, key/);
  await assert.rejects(router.decide({ prompt: "Hi" }, { dialct: "anthropic" }), /no option `dialct`/);
  await assert.rejects(router.getOptimalModel({ prompt: "Hi" }, { dialct: "anthropic" }), /no option `dialct`/);
  await assert.rejects(router.decideAll([{ prompt: "Hi" }], { short: true }), /no option `short`/);
  await assert.rejects(router.reserveBody({}, { leas: "5m" }), /no option `leas`/);
  await assert.rejects(router.spend(null), /must be an object, got null/);
  assert.deepEqual(asked, []);
});
