"use strict";

/*
 * The official `openai` client, with each call decided, held and settled. The seam is `makeRequest` of its class: all
 * resources, helpers and raw responses of the package send by it, with the body still an object. An attempt at a model
 * is a call of the service; the package repeats it as its `maxRetries` says, then the next model of the decision follows.
 */

const { UnavailableError } = require("./errors.cjs");
const { metered } = require("./metering.cjs");
const { dialectOf, passing } = require("./operations.cjs");
const { checkObject, checkOptions } = require("./options.cjs");

const KEYWORD = "costlens";
const PAUSE = 1000;
const LONGEST_WAIT = 600_000;
const FALLS_BACK = new Set([408, 429]);
const WRAPPED = Symbol("costlens-policy");

/** Return a client of the same class whose calls are guarded; whatever else could cost money is refused. */
function wrapOpenAI(client, router, options = {}) {
  checkOptions(options, ["attributes", "unguarded", "lease", "chargeFailures"], "a wrapped client");
  const { attributes = {}, unguarded = [], lease, chargeFailures = false } = options;
  if (typeof client?.makeRequest !== "function" || typeof client.withOptions !== "function") {
    throw new TypeError("client must be a client of the package `openai`, version 5 or later");
  }
  if (typeof router?.reserveBody !== "function") throw new TypeError("router must be a `Router`, which decides and holds the calls");
  if (typeof attributes !== "function") checkObject(attributes, "`attributes`");
  if (client[WRAPPED]) throw new TypeError("the client is wrapped already");
  const guard = { router, attributes, passing: passing(client, unguarded), lease, chargeFailures };
  return guarded(client.withOptions({}), guard);
}

/** Let a client that nobody else has send by the guard. */
function guarded(client, guard) {
  const bare = client.makeRequest.bind(client);
  const copied = client.withOptions.bind(client);
  const sent = new WeakMap(); // the options of an attempt, with those that it was made from
  const send = async (given, ...retries) => {
    const options = await given;
    const attempt = sent.get(options);
    if (attempt?.isUnderWay) return bare(options, ...retries); // the package repeats it, on the same hold
    return guardedRequest(guard, bare, sent, attempt?.options ?? options, retries);
  };
  return Object.defineProperties(client, {
    makeRequest: { value: send },
    withOptions: { value: (options) => guarded(copied(options), guard) },
    [WRAPPED]: { value: true },
  });
}

/** Send a request of the client. The models of the decision are tried in their order, each attempt on a hold of its own. */
async function guardedRequest(guard, bare, sent, options, retries) {
  const dialect = dialectOf(options, guard.passing);
  if (dialect === undefined) return bare(options, ...retries);
  const call = await read(guard, options.body, dialect);
  const failed = new Map();
  for (;;) {
    const { attributes, lease } = call;
    const reservation = await guard.router.reserveBody(call.body, { dialect, attributes, lease });
    const models = [reservation.model, ...reservation.model.fallbacks];
    const model = models.find(({ name }) => !failed.has(name));
    if (model === undefined) {
      await givenBack(reservation);
      throw [...failed.values()].at(-1);
    }
    const attempt = { ...options, body: model.arguments };
    if (guard.chargeFailures) attempt.maxRetries = 0; // each attempt is a call
    const entry = { options, isUnderWay: true };
    sent.set(attempt, entry);
    try {
      const found = await bare(attempt, ...(guard.chargeFailures ? [null] : retries));
      return { ...found, response: metered(found.response, ending(reservation, model.name), call.hidesUsage) };
    } catch (error) {
      await failedAttempt(guard, reservation, model.name, error);
      failed.set(model.name, error);
      if (!mayFallBack(error) || models.every(({ name }) => failed.has(name))) throw error;
    } finally {
      entry.isUnderWay = false;
    }
  }
}

/** Return the body as it would be sent, and who asks. */
async function read(guard, given, dialect) {
  if (![Object.prototype, null].includes(given instanceof Object ? Object.getPrototypeOf(given) : undefined)) {
    throw new TypeError("a call of a model is guarded only with an object as its body");
  }
  const { [KEYWORD]: own = {}, ...body } = given;
  const base = (typeof guard.attributes === "function" ? await guard.attributes() : guard.attributes) ?? {};
  checkObject(own, `\`${KEYWORD}\` of a call`);
  checkObject(base, "what `attributes` returns");
  for (const name of Object.keys(own)) {
    if (name in base && base[name] !== own[name]) throw new TypeError(`\`${KEYWORD}.${name}\` must not replace the client's`);
  }
  const hidesUsage = dialect === "openai-chat" && Boolean(body.stream) && body.stream_options?.include_usage === undefined;
  if (hidesUsage) body.stream_options = { ...body.stream_options, include_usage: true }; // else nobody learns the cost
  return { body, dialect, attributes: { ...base, ...own }, lease: guard.lease, hidesUsage };
}

/** How the call of an answer ends, once, whoever reads it: it is extended while it is read, and settled at its end. */
function ending(reservation, model) {
  return {
    settle: (usage) => settled(reservation, usage, model),
    async extend() {
      if (reservation.expiresAt === null || reservation.expiresAt - Date.now() >= 60_000) return;
      try {
        await reservation.extend();
      } catch {
        reservation.expiresAt = null; // a late charge counts all the same
      }
    },
  };
}

async function failedAttempt(guard, reservation, model, error) {
  if (guard.chargeFailures && mayHaveCost(error)) await settled(reservation, undefined, model);
  else await givenBack(reservation);
}

/** Give back a hold. Where the service cannot be reached it ends with its lease. */
async function givenBack(reservation) {
  try {
    await reservation.release();
  } catch (error) {
    if (!(error instanceof UnavailableError)) throw error;
  }
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

/** Whether another model may do better: the provider was out of reach, too slow, too busy, or broken. */
function mayFallBack(error) {
  if (error?.name === "AbortError" || error?.constructor?.name === "APIUserAbortError") return false;
  const status = error?.status;
  if (status === undefined) return /Connection|Timeout/.test(error?.constructor?.name ?? "");
  return FALLS_BACK.has(status) || status >= 500;
}

/** Whether the provider may have worked on an attempt: it did not refuse it. */
function mayHaveCost(error) {
  return !(error?.status >= 400 && error.status < 500) || error.status === 408;
}

module.exports = { wrapOpenAI };
