"use strict";

const http = require("node:http");
const https = require("node:https");

const { DeniedError, ServiceError, UnavailableError } = require("./errors.cjs");
const { checkJson, checkOptions, checkedNumber } = require("./options.cjs");

const DENIALS = new Set(["approval_needed", "budget_exceeded", "policy_denied", "run_ended", "share_refused"]);
const OPTIONS = ["url", "key", "timeout", "retries", "tls"];
const UNIX = "unix:";
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;

/** Asks the service, and asks again where that is harmless: everything that is asked has an id, or counts once. */
class Connection {
  #headers; // private, so that nothing that prints a connection prints its key

  constructor(options) {
    checkOptions(options, OPTIONS, "a router");
    const { url = "http://127.0.0.1:8181", key, timeout = 10_000, retries = 3, tls = {} } = options;
    const { base, socketPath } = addressOf(url);
    this._url = base;
    this._client = this._url.protocol === "https:" ? https : http;
    this._socketPath = socketPath;
    this.#headers = headersOf(key);
    this._timeout = checkedNumber("timeout", timeout);
    this._retries = checkedNumber("retries", retries, { isWhole: true });
    const agent = new this._client.Agent({ keepAlive: true, ...tls });
    Object.defineProperty(this, "_agent", { value: agent }); // not listed: its options may have a private key
  }

  close() {
    this._agent.destroy();
  }

  /** Return the answer to a request as a value. Throws `ServiceError`. */
  async ask(method, path, body) {
    const content = body === undefined ? undefined : JSON.stringify(body);
    checkJson(body);
    for (let attempt = 0; ; attempt++) {
      let answer;
      let failure;
      try {
        answer = await this._send(method, path, content);
      } catch (cause) {
        failure = new UnavailableError(`the service cannot be reached: ${cause.message || cause.code}`, { cause });
      }
      if (answer !== undefined) {
        if (answer.status !== 503) return valueOf(answer);
        failure = refusalOf(answer);
      }
      if (attempt >= this._retries) throw failure;
      await pause(attempt, answer?.headers["retry-after"]);
    }
  }

  _send(method, path, content) {
    return new Promise((resolve, reject) => {
      const headers = { ...this.#headers };
      if (content !== undefined) {
        headers["content-type"] = "application/json";
        headers["content-length"] = Buffer.byteLength(content);
      }
      const request = this._client.request(new URL(this._url.pathname.replace(/\/$/, "") + path, this._url), {
        method,
        headers,
        agent: this._agent,
        socketPath: this._socketPath,
      });
      const timer = setTimeout(() => request.destroy(new Error(`no answer within ${this._timeout} ms`)), this._timeout);
      request.once("close", () => clearTimeout(timer));
      request.once("error", reject);
      request.once("response", (response) => {
        const parts = [];
        response.on("data", (part) => parts.push(part));
        response.once("error", reject);
        response.once("end", () => {
          clearTimeout(timer);
          resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() });
        });
        response.once("close", () => reject(new Error("the answer was cut off")));
      });
      request.end(content);
    });
  }
}

function addressOf(url) {
  const isUnix = typeof url === "string" && url.startsWith(UNIX);
  const socketPath = isUnix ? url.slice(UNIX.length) : undefined;
  const given = isUnix ? "http://localhost" : url;
  let base;
  try {
    base = new URL(given);
  } catch {
    base = undefined;
  }
  if (socketPath !== "" && ["http:", "https:"].includes(base?.protocol)) return { base, socketPath };
  throw new TypeError(`url must be http://host:port, https://host:port or unix:/path, got ${url}`);
}

/** Return the headers that show a key, without white space around it. What is thrown does not show it. */
function headersOf(key) {
  if (key === undefined || key === null) return {};
  const shown = typeof key === "string" ? key.trim() : "";
  if (!/^[!-~]+$/.test(shown)) {
    throw new TypeError("key must be what `costlens-policy keys add` printed: visible ASCII characters");
  }
  return { authorization: `Bearer ${shown}` };
}

function valueOf(answer) {
  if (answer.status !== 200) throw refusalOf(answer);
  return parsed(answer);
}

function parsed(answer) {
  let value;
  try {
    value = JSON.parse(answer.body);
  } catch {
    value = undefined;
  }
  if (typeof value !== "object" || value === null) throw unreadable(answer);
  return value;
}

function refusalOf(answer) {
  let facts;
  try {
    facts = parsed(answer).error;
  } catch (error) {
    return error;
  }
  if (typeof facts?.code !== "string") return unreadable(answer);
  const { status } = answer;
  if (DENIALS.has(facts.code)) return new DeniedError(facts.message, { ...facts, status });
  const Kind = status === 503 ? UnavailableError : ServiceError;
  return new Kind(facts.message, { status, code: facts.code });
}

function unreadable({ status }) {
  const said = `an answer with status ${status} is none of the service's; is another one at this URL?`;
  return new ServiceError(said, { status, code: "unreadable" });
}

function pause(attempt, retryAfter) {
  const own = FIRST_PAUSE * 2 ** attempt * (0.5 + Math.random() / 2);
  const asked = Number(retryAfter) * 1000 || 0;
  return new Promise((resolve) => setTimeout(resolve, Math.min(Math.max(own, asked), LONGEST_PAUSE)));
}

module.exports = { Connection };
