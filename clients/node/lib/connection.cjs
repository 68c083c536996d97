"use strict";

const http = require("node:http");
const https = require("node:https");

const { DeniedError, ServiceError, UnavailableError } = require("./errors.cjs");

const DENIALS = new Set(["budget_exceeded", "policy_denied"]);
const UNIX = "unix:";
const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5000;

/** Asks the service, and asks again where that is harmless: everything that is asked has an id, or counts once. */
class Connection {
  constructor({ url = "http://127.0.0.1:8181", key, timeout = 10_000, retries = 3, tls = {} } = {}) {
    const isUnix = url.startsWith(UNIX);
    this._url = isUnix ? new URL("http://localhost") : new URL(url);
    if (!["http:", "https:"].includes(this._url.protocol)) {
      throw new TypeError(`url must be http://…, https://… or unix:/path, got ${url}`);
    }
    this._client = this._url.protocol === "https:" ? https : http;
    this._agent = new this._client.Agent({ keepAlive: true, ...tls });
    this._socketPath = isUnix ? url.slice(UNIX.length) : undefined;
    this._headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
    this._timeout = timeout;
    this._retries = retries;
  }

  close() {
    this._agent.destroy();
  }

  /** Return the answer to a request as a value. Throws `ServiceError`. */
  async ask(method, path, body) {
    const content = body === undefined ? undefined : JSON.stringify(body);
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
      const headers = { ...this._headers };
      if (content !== undefined) {
        headers["content-type"] = "application/json";
        headers["content-length"] = Buffer.byteLength(content);
      }
      const request = this._client.request(new URL(path, this._url), {
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
