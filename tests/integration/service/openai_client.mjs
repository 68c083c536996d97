// The real `openai` package, wrapped, against a provider on this machine and a real service. Prints what happened as JSON.
import http from "node:http";

import OpenAI from "openai";
import { DeniedError, Router, wrapOpenAI } from "costlens-policy";

const USAGE = { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 };
const seen = [];
let fails = 0; // how many requests are answered with 500 from now on
let cuts = false; // whether the next answer breaks off
let stalls = false; // whether streams stop after their first event

const provider = http.createServer((request, response) => {
  const parts = [];
  request.on("data", (part) => parts.push(part));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(parts).toString());
    seen.push({ path: request.url, body });
    if (fails > 0) {
      fails -= 1;
      response.writeHead(500, { "content-type": "application/json" });
      return response.end(JSON.stringify({ error: { message: "broken" } }));
    }
    if (body.stream) return stream(response, body);
    response.writeHead(200, { "content-type": "application/json" });
    if (cuts) {
      cuts = false;
      return response.write('{"id": ', () => response.destroy());
    }
    response.end(JSON.stringify(answerTo(request.url, body)));
  });
});

function answerTo(url, body) {
  if (url.endsWith("/embeddings")) {
    const data = [{ object: "embedding", index: 0, embedding: [0.5] }];
    return { object: "list", model: body.model, data, usage: { prompt_tokens: 10, total_tokens: 10 } };
  }
  if (url.endsWith("/responses")) {
    const usage = { input_tokens: 10, output_tokens: 5, total_tokens: 15 };
    return { id: "r", object: "response", model: body.model, status: "completed", output: [], usage };
  }
  const message = { role: "assistant", content: "Hello" };
  const choices = [{ index: 0, message, finish_reason: "stop" }];
  return { id: "c", object: "chat.completion", created: 1, model: body.model, choices, usage: USAGE };
}

function stream(response, body) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const chunk = (facts) => {
    const whole = { id: "c", object: "chat.completion.chunk", created: 1, model: body.model, choices: [], ...facts };
    response.write(`data: ${JSON.stringify(whole)}\n\n`);
  };
  chunk({ choices: [{ index: 0, delta: { role: "assistant", content: "Hel" }, finish_reason: null }] });
  if (stalls) return;
  chunk({ choices: [{ index: 0, delta: { content: "lo" }, finish_reason: "stop" }] });
  if (body.stream_options?.include_usage) chunk({ usage: USAGE });
  response.end("data: [DONE]\n\n");
}

await new Promise((resolve) => provider.listen(0, "127.0.0.1", resolve));
const router = new Router({ url: process.env.COSTLENS_URL });
const bare = new OpenAI({ apiKey: "none", maxRetries: 0, baseURL: `http://127.0.0.1:${provider.address().port}/v1` });
const openai = wrapOpenAI(bare, router, { attributes: { team: "node" } });
const messages = [{ role: "user", content: "Hi" }];
const found = {};

async function used() {
  const spends = await router.spend({ budget: "team", key: "node" });
  return { used: spends[0]?.used ?? "0", held: spends[0]?.held ?? "0" };
}

const chat = await openai.chat.completions.create({ model: "gpt-x", messages, max_tokens: 50, temperature: 0 });
found.chat = { text: chat.choices[0].message.content, sent: seen.at(-1).body, ...(await used()) };

const chunks = [];
for await (const chunk of await openai.chat.completions.create({ model: "gpt-x", messages, stream: true })) {
  chunks.push(chunk.choices.length);
}
found.stream = { chunks, asked: seen.at(-1).body.stream_options, ...(await used()) };

stalls = true;
for await (const _ of await openai.chat.completions.create({ model: "gpt-x", messages, stream: true })) break;
found.left = await used();
stalls = false;

await openai.responses.create({ model: "gpt-x", input: "Hi" });
found.responses = { sent: seen.at(-1).body, ...(await used()) };

await openai.embeddings.create({ model: "gpt-x", input: "Hi" });
found.embeddings = { sent: seen.at(-1).body, ...(await used()) };

fails = 1;
const before = seen.length;
await openai.chat.completions.create({ model: "gpt-x", messages });
found.fallback = { models: seen.slice(before).map((item) => item.body.model), ...(await used()) };

fails = 10;
try {
  await openai.chat.completions.create({ model: "gpt-x", messages });
} catch (error) {
  found.failed = { status: error.status, ...(await used()) };
}
fails = 0;

try {
  await openai.chat.completions.create({ model: "gpt-x", messages, max_tokens: 9_000_000 });
} catch (error) {
  found.denied = { isDenied: error instanceof DeniedError, status: error.status, budget: error.budget };
}

const question = { model: "gpt-x", messages };
const { completions } = openai.chat;
const textOf = (answer) => answer.choices[0].message.content;
const { data, response } = await completions.create(question).withResponse();
const raw = await completions.create(question).asResponse();
const lines = await (await completions.create({ ...question, stream: true }).asResponse()).text();
const helper = openai.chat.completions.stream?.(question) ?? openai.beta.chat.completions.stream(question);
const aborting = new AbortController();
aborting.abort();
found.responses_of = {
  withResponse: [textOf(data), response.status],
  asResponse: textOf(await raw.json()),
  "raw stream": lines.split("\n").filter((line) => line.startsWith("data: ")).length,
  helper: await helper.finalContent(),
  parsed: textOf(await completions.parse(question)),
  "with options": textOf(await openai.withOptions({ timeout: 5000 }).chat.completions.create(question)),
  posted: textOf(await openai.post("/chat/completions", { body: question })),
  aborted: await completions.create(question, { signal: aborting.signal }).catch((error) => error.constructor.name),
};
found.helpers = await used();

fails = 2;
const first = seen.length;
await openai.chat.completions.create(question, { maxRetries: 2 });
found.repeated = { models: seen.slice(first).map((item) => item.body.model), ...(await used()) };

cuts = true;
await openai.chat.completions.create(question).catch(() => {});
found.cut = await used();

await (async () => void (await openai.chat.completions.create({ ...question, stream: true })))();
for (let turn = 0; turn < 100 && (await used()).used === found.cut.used; turn++) {
  globalThis.gc();
  await new Promise((resolve) => setTimeout(resolve, 20));
}
found.dropped = await used();

found.refused = [];
for (const use of [
  () => openai.images.generate({ prompt: "x" }),
  () => openai.audio.speech.create({ model: "x", voice: "alloy", input: "x" }),
  () => openai.withOptions({}).images.generate({ prompt: "x" }),
  () => openai.post("/completions", { body: question }),
]) {
  try {
    await use();
    found.refused.push(false);
  } catch (error) {
    found.refused.push(error instanceof TypeError);
  }
}

console.log(JSON.stringify(found));
router.close();
provider.closeAllConnections();
provider.close();
