"use strict";

/*
 * Runs: what calls belong to, by their paths. A run lasts as long as the work that was given to `withRun`; what that
 * awaits and starts belongs to it, and is refused once it is over.
 */

const { AsyncLocalStorage } = require("node:async_hooks");
const { randomUUID } = require("node:crypto");

const { ServiceError } = require("./errors.cjs");

const current = new AsyncLocalStorage();

/** Do some work as a run, within the run around it if there is one, and return what the work returns. */
function withRun(name, work, options = {}) {
  const outer = current.getStore();
  const above = options.parent ?? outer?.path;
  const own = name ?? randomUUID();
  for (const text of [own, above ?? own]) {
    if (typeof text !== "string" || text === "") throw new TypeError(`a run must be a non-empty string, got ${String(text)}`);
  }
  const run = { path: above === undefined ? own : `${above}/${own}`, outer, isOver: false };
  const end = () => {
    run.isOver = true;
  };
  let result;
  try {
    result = current.run(run, () => work(run.path));
  } catch (error) {
    end();
    throw error;
  }
  if (typeof result?.then !== "function") {
    end();
    return result;
  }
  return result.then(
    (value) => (end(), value),
    (error) => {
      end();
      throw error;
    },
  );
}

/** Return the path of the run of the code that asks; undefined outside of runs. Throws `ServiceError` for one that is over. */
function runNow() {
  const run = current.getStore();
  for (let each = run; each !== undefined; each = each.outer) {
    if (each.isOver) throw new ServiceError(`run: \`${each.path}\` has ended`, { code: "run_ended" });
  }
  return run?.path;
}

/** Return the headers that carry the run to another service, as W3C Baggage; none outside of runs. */
function runHeaders() {
  const path = runNow();
  return path === undefined ? {} : { baggage: `costlens.run=${encodeURIComponent(path).replaceAll("%2F", "/")}` };
}

module.exports = { runHeaders, runNow, withRun };
