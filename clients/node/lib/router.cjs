"use strict";

const { randomUUID } = require("node:crypto");
const { inspect } = require("node:util");

const { Connection } = require("./connection.cjs");
const { DeniedError } = require("./errors.cjs");
const { checkObject, checkOptions } = require("./options.cjs");
const { runNow } = require("./runs.cjs");

/** How many items of a batch, and how many characters of its results, go into one request. */
const MOST_ITEMS = 1000;
const MOST_CHARACTERS = 1_000_000;
/** Attributes that are sent to a model: without them another call is decided than the one that is meant. */
const TEXTS = new Set(["prompt", "messages", "tools", "params"]);

/** What to send to one model: its `name`, and the `prompt` or `messages` as the policies rewrote them. */
class Model {
  constructor(call, fallbacks = [], decision = undefined) {
    this.name = call.model;
    this.provider = call.provider;
    this.prompt = call.prompt;
    this.system = call.system;
    this.messages = call.messages;
    this.parameters = call.params;
    /** The arguments of the SDK whose dialect was asked for. */
    this.arguments = call.arguments;
    /** What the call costs at most, in US dollars; null where the model has no price. */
    this.estimatedCost = call.estimate.cost_usd === null ? null : Number(call.estimate.cost_usd);
    this.estimate = call.estimate;
    /** What to send where the call fails, in order. */
    this.fallbacks = fallbacks;
    this.decision = decision;
  }
}

/** A call whose worst case is held. Settle it with the provider's usage, or release it. */
class Reservation {
  constructor(router, reserved) {
    this.id = reserved.id;
    this.expiresAt = reserved.expires_at === null ? null : new Date(reserved.expires_at);
    this.held = reserved.held;
    this.decision = reserved.decision;
    this.model = modelOf(reserved.decision);
    this.charge = null;
    this._router = router;
    this._isOver = false;
  }

  /** Charge the call, once, whether or not a budget counts it. Without usage all that is held is charged; null once it is released. */
  async settle(usage, options = {}) {
    if (!this._isOver) {
      this._isOver = true;
      try {
        this.charge = await this._router.settle(this.id, usage, options);
      } catch (error) {
        this._isOver = false;
        throw error;
      }
    }
    return this.charge;
  }

  /** Give back what is held: the provider has not charged for the call. */
  async release() {
    if (this._isOver) return;
    this._isOver = true;
    try {
      await this._router.release(this.id);
    } catch (error) {
      if (error.code === "call_conflict") return; // it is settled: a charge whose answer was lost came first
      this._isOver = false;
      throw error;
    }
  }

  /** Let the lease begin anew, for a call that takes longer than it. */
  async extend(lease) {
    if (!this._isOver) this.expiresAt = await this._router.extend(this.id, lease);
  }
}

/** The decisions of a service. Every method throws `ServiceError`; `DeniedError` says that a call may not be made. */
class Router {
  #connection; // private: it has the key

  constructor(options = {}) {
    this.#connection = new Connection(options);
  }

  /** Return the model for a request. Attributes may be written `costBudget` or `cost_budget`. */
  async getOptimalModel(attributes, options = {}) {
    checkOptions(options, ["dialect"], "a decision");
    const { dialect = "openai-chat" } = options;
    const decision = await this.decide(attributes, { dialect });
    if (!decision.allow) {
      const { rule, reasons } = decision;
      throw new DeniedError(reasons.join("; ") || "denied", { rule, reasons });
    }
    return modelOf(decision);
  }

  /** Decide a request, and hold nothing. A denial is an answer whose `allow` is false. */
  async decide(attributes, options = {}) {
    checkOptions(options, ["dialect"], "a decision");
    const { dialect } = options;
    return this._post("decide", { request: requestOf(attributes), dialect });
  }

  /** Decide up to 1,000 requests, each by itself, in their order. Brief answers have no `decision`. */
  async decideAll(requests, options = {}) {
    checkOptions(options, ["dialect", "brief"], "decisions");
    const { dialect, brief } = options;
    if (!Array.isArray(requests)) throw new TypeError("requests must be a list of requests");
    return (await this._post("decide/batch", { requests: requests.map(requestOf), dialect, brief })).answers;
  }

  /** Decide a request, with its full record. */
  async explain(attributes) {
    return this._post("explain", { request: requestOf(attributes) });
  }

  /** Return which models may serve a request, and why others may not. */
  async models(attributes) {
    return this._post("models", { request: requestOf(attributes) });
  }

  /** Decide a call and hold its worst case. The same `id` gives the same hold. Throws `DeniedError`. */
  async reserve(attributes, options = {}) {
    checkOptions(options, ["id", "lease", "dialect"], "a reservation");
    const { id = randomUUID(), lease, dialect = "openai-chat" } = options;
    return new Reservation(this, await this._post("reserve", { request: requestOf(attributes), id, lease, dialect }));
  }

  /** Do as `reserve` does with the body that an SDK would send; `arguments` are then the bodies to send. */
  async reserveBody(body, options = {}) {
    checkOptions(options, ["dialect", "attributes", "id", "lease"], "a reservation");
    checkObject(body, "a body");
    const { dialect, attributes = {}, id = randomUUID(), lease } = options;
    const asked = { body, dialect, attributes: requestOf(attributes), id, lease };
    return new Reservation(this, await this._post("reserve", asked));
  }

  /** Charge what a held call cost: by the provider's usage or its whole response, or by the text of the answer. */
  async settle(id, usage, options = {}) {
    checkOptions(options, ["model", "outputText", "shape"], "a settlement");
    const { model, outputText, shape } = options;
    return this._post("settle", { id, usage: usage ?? undefined, model, output_text: outputText, shape });
  }

  /**
   * Hold a batch at batch prices before it is handed in: a call for each item. `calls` are to be sent, `refused` says why others are not.
   * Submitted again with the same `id`, an item that is held is the same hold. With `whole` all items are held or none.
   */
  async submit(requests, options = {}) {
    checkOptions(options, ["id", "lease", "whole", "dialect"], "a batch");
    checkObject(requests, "a batch");
    const { id, lease, whole, dialect = "openai-chat" } = options;
    const items = Object.entries(requests);
    if (whole && items.length > MOST_ITEMS) throw new TypeError(`a batch that is held as a whole must have at most ${MOST_ITEMS} items`);
    const batch = { id, calls: {}, refused: {} };
    for (let start = 0; start === 0 || start < items.length; start += MOST_ITEMS) {
      const part = Object.fromEntries(items.slice(start, start + MOST_ITEMS).map(([item, request]) => [item, requestOf(request)]));
      const { calls, refused } = await this._post("batch/submit", { id, requests: part, lease, whole, dialect });
      Object.assign(batch.calls, calls);
      Object.assign(batch.refused, refused);
    }
    return batch;
  }

  /** Charge or give back the items of a batch whose results are there: the text of the provider's file, or its lines as objects. */
  async settleBatch(id, results) {
    const lines = typeof results === "string" ? results.split("\n") : Array.from(results, (line) => (typeof line === "string" ? line : JSON.stringify(line)));
    const settled = { id, charged: {}, released: {}, problems: [] };
    for (let start = 0; start === 0 || start < lines.length; ) {
      let end = start;
      for (let length = 0; end < lines.length && (end === start || (end - start < MOST_ITEMS && length + lines[end].length <= MOST_CHARACTERS)); end++) {
        length += lines[end].length;
      }
      const { charged, released, problems } = await this._post("batch/settle", { id, results: lines.slice(start, end).join("\n") });
      Object.assign(settled.charged, charged);
      Object.assign(settled.released, released);
      settled.problems.push(...problems);
      start = Math.max(end, start + 1);
    }
    return settled;
  }

  /** End a run, with all runs within it, for every caller and for good. */
  async endRun(path) {
    await this._post("runs/end", { run: path });
  }

  /** Give back what a call holds. */
  async release(id) {
    await this._post("release", { id });
  }

  /** Let the lease of a held call begin anew; return when it ends. */
  async extend(id, lease) {
    const { expires_at: ends } = await this._post("extend", { id, lease });
    return ends === null ? null : new Date(ends);
  }

  /** Return what budgets have used, hold and have left. */
  async spend(options = {}) {
    checkOptions(options, ["budget", "key"], "what is spent");
    const { budget, key } = options;
    const query = new URLSearchParams(Object.entries({ budget, key }).filter(([, value]) => value !== undefined));
    return (await this.#connection.ask("GET", `/v1/spend?${query}`.replace(/\?$/, ""))).budgets;
  }

  /** Return the policy set that decides. Needs the scope `admin`. */
  policies() {
    return this.#connection.ask("GET", "/v1/policies");
  }

  /** Return what is wrong with a service that can do its work. Throws `UnavailableError` where it cannot. */
  ready() {
    return this.#connection.ask("GET", "/ready");
  }

  /** Close the connections. */
  close() {
    this.#connection.close();
  }

  /** Return nothing of the connection, wherever a router is printed. */
  toJSON() {
    return {};
  }

  [inspect.custom]() {
    return "Router {}";
  }

  _post(path, body) {
    return this.#connection.ask("POST", `/v1/${path}`, body);
  }
}

function modelOf(decision) {
  const [first, ...others] = decision.calls;
  return new Model(
    first,
    others.map((call) => new Model(call)),
    decision,
  );
}

/** Return attributes under the names of the policy set. What is sent to a model is there, or it is not given. */
function requestOf(attributes) {
  checkObject(attributes, "a request");
  const request = Object.create(null); // an attribute may have any name
  for (const [name, value] of Object.entries(attributes)) {
    const own = name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (own in request) throw new TypeError(`${own} is given twice`);
    if (value !== undefined) request[own] = value;
    else if (TEXTS.has(own)) throw new TypeError(`\`${own}\` must have a value of JSON, got undefined`);
  }
  const run = runNow();
  if (run !== undefined && (request.run === undefined || request.run === null)) request.run = run;
  return request;
}

module.exports = { Model, Reservation, Router };
