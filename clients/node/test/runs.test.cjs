"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const { after, before, test } = require("node:test");

const { DeniedError, Router, runHeaders, runNow, withRun } = require("../index.cjs");

const asked = [];
let answer = {};
let server;
let router;

before(async () => {
  server = http.createServer((request, response) => {
    const parts = [];
    request.on("data", (part) => parts.push(part));
    request.on("end", () => {
      asked.push({ url: request.url, body: JSON.parse(Buffer.concat(parts).toString()) });
      response.writeHead(answer.status ?? 200);
      response.end(JSON.stringify(answer.body ?? {}));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  router = new Router({ url: `http://127.0.0.1:${server.address().port}`, retries: 0 });
});

after(() => {
  router.close();
  server.closeAllConnections?.();
  server.close();
});

test("calls belong to the run around them", async () => {
  asked.length = 0;
  let late;
  await withRun("nightly", async (path) => {
    assert.equal(path, "nightly");
    await router.decide({ prompt: "a" });
    await Promise.all(["x y", "z"].map((name) => withRun(name, () => router.decide({ prompt: "b" }))));
    await router.decide({ prompt: "c", run: "own" });
    withRun("x y", () => assert.deepEqual(runHeaders(), { baggage: "costlens.run=nightly/x%20y" }));
    await withRun("w", () => router.decide({ prompt: "d" }), { parent: "far/away" });
    late = () => new Promise((resolve) => setTimeout(resolve, 1)).then(() => router.decide({ prompt: "e" }));
    late = late();
    late.catch(() => {});
  });
  assert.deepEqual(asked.map(({ body }) => body.request.run).sort(), ["far/away/w", "nightly", "nightly/x y", "nightly/z", "own"]);
  await assert.rejects(late, (error) => error.code === "run_ended" && /`nightly` has ended/.test(error.message));
  assert.equal(runNow(), undefined);
  assert.deepEqual(runHeaders(), {});
  assert.throws(() => withRun("", () => {}), TypeError);
  assert.throws(() => withRun("a", () => { throw new RangeError(); }), RangeError);
  await assert.rejects(withRun("a", async () => { throw new RangeError(); }), RangeError);
});

test("a run that is over is denied", async () => {
  answer = { status: 403, body: { error: { message: "over", code: "run_ended", over: "n" } } };
  await assert.rejects(router.reserve({ run: "n/x" }), (error) => error instanceof DeniedError && error.over === "n");
  answer = {};
  asked.length = 0;
  await router.endRun("n");
  assert.deepEqual(asked, [{ url: "/v1/runs/end", body: { run: "n" } }]);
});

test("batches go in parts", async () => {
  asked.length = 0;
  answer = { body: { calls: {}, refused: {}, charged: {}, released: { a: "failed" }, problems: ["p"] } };
  const items = Object.fromEntries(Array.from({ length: 1001 }, (_, number) => [`i${number}`, { maxOutputTokens: 1 }]));
  await router.submit(items, { id: "night", lease: "2d" });
  assert.deepEqual(asked.map(({ body }) => Object.keys(body.requests).length), [1000, 1]);
  assert.deepEqual(asked[1].body, { id: "night", lease: "2d", dialect: "openai-chat", requests: { i1000: { max_output_tokens: 1 } } });
  await assert.rejects(router.submit(items, { id: "night", whole: true }), TypeError);
  asked.length = 0;
  const settled = await router.settleBatch("night", [{ custom_id: "a" }, "x".repeat(999_990), { custom_id: "b" }]);
  assert.equal(asked.length, 3);
  assert.deepEqual(settled, { id: "night", charged: {}, released: { a: "failed" }, problems: ["p", "p", "p"] });
  asked.length = 0;
  await router.settleBatch("night", "");
  assert.equal(asked.length, 1);
});
