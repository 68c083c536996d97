"use strict";

/*
 * The official `openai` client, with each call decided, held and settled. One attempt at a model is one request of the
 * SDK, whose own retries are switched off: after errors that another attempt may not meet, the next model of the
 * decision is tried, on the same hold.
 */

const { UnavailableError } = require("./errors.cjs");

const KEYWORD = "costlens";
const PAUSE = 1000;
const LONGEST_WAIT = 600_000;

/** Return a client whose `chat.completions`, `responses` and `embeddings` are guarded; everything else is refused. */
function wrapOpenAI(client, router, { attributes = {}, unguarded = [], lease } = {}) {
  const guard = { client, router, attributes, lease };
  const wrapped = new Proxy(client, {
    get(target, name) {
      if (name === "chat") return only("chat", { completions: resource(guard, target.chat.completions, "openai-chat") });
      if (name === "responses") return resource(guard, target.responses, "openai-responses");
      if (name === "embeddings") return resource(guard, target.embeddings, "openai-embeddings");
      const value = Reflect.get(target, name, target);
      if (typeof name !== "string" || HARMLESS.has(name) || unguarded.includes(name)) return bound(value, target);
      if (typeof value === "function" || (typeof value === "object" && value !== null)) throw unguardedError(name);
      return value;
    },
  });
  return wrapped;
}

const HARMLESS = new Set(["models", "files", "moderations", "constructor", "toJSON"]);
const FALLS_BACK = new Set([408, 409, 429]);

/** One resource of the SDK. Its `create` is guarded, reading and deleting pass, helpers that call models do not. */
function resource(guard, target, dialect) {
  return new Proxy(target, {
    get(_, name) {
      if (name === "create") return (body, options) => create(guard, target, dialect, body, options);
      const value = Reflect.get(target, name, target);
      if (["retrieve", "list", "update", "delete", "del", "cancel", "constructor"].includes(name) || typeof name !== "string") {
        return bound(value, target);
      }
      if (typeof value === "function") throw unguardedError(`${dialect}.${name}`);
      return value;
    },
  });
}

function only(name, resources) {
  return new Proxy(resources, {
    get(target, part) {
      if (part in target || typeof part !== "string" || part === "then") return target[part];
      throw unguardedError(`${name}.${part}`);
    },
  });
}

function bound(value, owner) {
  return typeof value === "function" && value.prototype === undefined ? value.bind(owner) : value;
}

function unguardedError(name) {
  return new TypeError(
    `\`${name}\` is neither decided nor counted, so it is not called; use the unwrapped client for it, or name it in \`unguarded\``,
  );
}

async function create(guard, target, dialect, body, options = {}) {
  const { [KEYWORD]: own = {}, ...sent } = body;
  const base = typeof guard.attributes === "function" ? guard.attributes() : guard.attributes;
  for (const name of Object.keys(own)) {
    if (name in base && base[name] !== own[name]) throw new TypeError(`\`${KEYWORD}.${name}\` must not replace the client's`);
  }
  const attributes = { ...base, ...own };
  const hidesUsage = dialect === "openai-chat" && sent.stream && sent.stream_options?.include_usage === undefined;
  if (hidesUsage) sent.stream_options = { ...sent.stream_options, include_usage: true }; // else nobody learns the cost
  const reservation = await guard.router.reserveBody(sent, { dialect, attributes, lease: guard.lease });
  let answer;
  let model;
  try {
    [answer, model] = await answered(target, reservation.model, options);
  } catch (error) {
    if (wasUnreadable(error)) await settled(reservation);
    else await reservation.release();
    throw error;
  }
  if (sent.stream) return metered(answer, reservation, model, hidesUsage);
  await settled(reservation, usageOf(answer), model);
  return answer;
}

/** Settle a call. Where the service cannot be reached the answer is not kept back: settling goes on beside it. */
async function settled(reservation, usage, model) {
  try {
    await reservation.settle(usage, { model });
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
    settleLater(reservation, usage, model).catch((failure) => {
      process.emitWarning(`call ${reservation.id} is not charged: ${failure.message}`, "CostlensPolicyWarning");
    });
  }
}

/** Settle again and again, as long as the call is held. */
async function settleLater(reservation, usage, model) {
  const ends = reservation.expiresAt === null ? Date.now() + LONGEST_WAIT : Number(reservation.expiresAt);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
    try {
      return await reservation.settle(usage, { model });
    } catch (error) {
      if (!(error instanceof UnavailableError) || Date.now() > ends) throw error;
    }
  }
}

/** Return the first answer of the models in their order, and who gave it. */
async function answered(target, model, options) {
  let failure;
  for (const candidate of [model, ...model.fallbacks]) {
    try {
      return [await target.create(candidate.arguments, { ...options, maxRetries: 0 }), candidate.name];
    } catch (error) {
      failure = error;
      if (!mayFallBack(error)) throw error;
    }
  }
  throw failure;
}

/** Whether another model may do better: the provider was out of reach, too slow, too busy, or broken. */
function mayFallBack(error) {
  if (error?.name === "AbortError" || error?.constructor?.name === "APIUserAbortError") return false;
  const status = error?.status;
  if (status === undefined) return /Connection|Timeout/.test(error?.constructor?.name ?? "");
  return FALLS_BACK.has(status) || status >= 500;
}

/** Whether an answer arrived that is no JSON, or broke off: its provider has worked for it, and nobody knows how much. */
function wasUnreadable(error) {
  return error?.name === "SyntaxError" || (error?.name === "TypeError" && error.message === "terminated");
}

/** Return what carries the usage, none where the provider reported none: then all that is held is charged. */
function usageOf(answer) {
  return answer?.usage ? { model: answer.model, usage: answer.usage } : undefined;
}

/**
 * Return a stream that settles with the usage which comes with it. One that ends without its usage, or is left, is
 * charged what is held: nobody knows what the provider has written by then.
 */
function metered(stream, reservation, model, hidesUsage) {
  let usage;
  async function* chunks() {
    try {
      for await (const chunk of stream) {
        const found = chunk?.usage ?? chunk?.response?.usage;
        if (found) usage = { usage: found };
        if (reservation.expiresAt !== null && reservation.expiresAt - Date.now() < 60_000) await extended(reservation);
        if (!(hidesUsage && found && chunk.choices?.length === 0)) yield chunk;
      }
    } finally {
      await settled(reservation, usage, model);
    }
  }
  const iterator = chunks();
  return new Proxy(stream, {
    get(target, name) {
      if (name === Symbol.asyncIterator) return () => iterator;
      if (name === "controller") return target.controller;
      if (name === "tee" || name === "toReadableStream") throw unguardedError(`stream.${name}`);
      return bound(Reflect.get(target, name, target), target);
    },
  });
}

async function extended(reservation) {
  try {
    await reservation.extend();
  } catch {
    reservation.expiresAt = null; // a late charge counts all the same
  }
}

module.exports = { wrapOpenAI };
