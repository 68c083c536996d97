"use strict";

/* What each request of the `openai` package is: a call of a model, something that runs no model, or refused. */

const CALLS = { "/chat/completions": "openai-chat", "/responses": "openai-responses", "/embeddings": "openai-embeddings" };
const RUNS_NOTHING =
  /^(\/moderations|\/files|\/uploads(\/[\w-]+\/\w+)?|\/responses\/(input_tokens|[\w-]+\/cancel)|\/chat\/completions\/[\w-]+)$/;
const READING = new Set(["get", "delete", "head", "options"]);
const VERSION = /^\/v[0-9]+\//;
const PLAIN_PATH = /^(\/[\w~:@%+-][\w~:@%+.-]*)+$/;

/** Read what may pass unguarded: resources of the client, and paths with all below them. */
function passing(client, unguarded) {
  if (!Array.isArray(unguarded)) throw new TypeError("`unguarded` must be a list, such as `[\"images\"]`");
  return unguarded.map((name) => {
    const isPath = typeof name === "string" && PLAIN_PATH.test(name);
    const first = typeof name === "string" ? name.split(".")[0] : "";
    if (!isPath && (typeof client[first] !== "object" || client[first]?._client === undefined)) {
      throw new TypeError(`\`unguarded\` must list resources of the client, or paths that begin with \`/\`; got \`${name}\``);
    }
    return isPath ? name : `/${name.replaceAll(".", "/")}`;
  });
}

/** Return how the call of a model is written; undefined for what passes as it is. Throws a `TypeError` for the rest. */
function dialectOf({ method, path }, passes) {
  if (READING.has(method.toLowerCase())) return undefined;
  const [bare] = path.split("?");
  if (PLAIN_PATH.test(bare) && passes.some((item) => bare === item || bare.startsWith(`${item}/`))) return undefined;
  if (method.toLowerCase() === "post") {
    if (Object.hasOwn(CALLS, path)) return CALLS[path];
    if (RUNS_NOTHING.test(path)) return undefined;
  }
  throw new TypeError(`\`${method.toUpperCase()} ${path}\` is neither decided nor counted, so it was not sent; ${remedy(bare)}`);
}

/** Return what to do to send a request that is refused. */
function remedy(bare) {
  if (!PLAIN_PATH.test(bare)) return "write the path without empty, `.` and `..` segments";
  const call = bare.replace(VERSION, "/");
  if (Object.hasOwn(CALLS, call)) {
    return `to call a model, post to \`${call}\` as the package does, with any query in the options of the request`;
  }
  return `to send it all the same, wrap the client with \`unguarded: ["${bare}"]\``;
}

module.exports = { dialectOf, passing };
