"use strict";

const LOST = [Map, Set, WeakMap, WeakSet, Promise, ArrayBuffer, RegExp, Error];

/** Throw a `TypeError` for an option that nobody reads, which may be a slip of the pen. */
function checkOptions(given, known, whose) {
  checkObject(given, `the options of ${whose}`);
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${whose} has no option \`${unknown}\`; it has ${known.join(", ")}`);
}

/** Throw a `TypeError` for what has no names and values of its own, such as a text or a list. */
function checkObject(given, what) {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return;
  throw new TypeError(`${what} must be an object, got ${kindOf(given)}`);
}

/** Return a number of an option. Throws a `TypeError` for one that cannot be one. */
function checkedNumber(name, value, { isWhole = false } = {}) {
  const isRight = typeof value === "number" && value >= 0 && (!isWhole || Number.isInteger(value) || value === Infinity);
  if (!isRight) throw new TypeError(`${name} must be a non-negative ${isWhole ? "whole " : ""}number, got ${String(value)}`);
  return value;
}

/** Throw a `TypeError` for what JSON leaves out, empties or turns into null: it would arrive as something else. */
function checkJson(value, place = "the request") {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`a number must be finite, got ${value}`);
  if (typeof value === "function" || typeof value === "symbol" || LOST.some((kind) => value instanceof kind) || ArrayBuffer.isView(value)) {
    throw new TypeError(`${place} must have a value of JSON, got ${kindOf(value)}`);
  }
  if (typeof value !== "object" || value === null || typeof value.toJSON === "function") return;
  for (const [name, item] of Object.entries(value)) {
    if (item !== undefined) checkJson(item, `\`${name}\``);
    else if (Array.isArray(value)) throw new TypeError(`${place} must have a value of JSON, got undefined`);
  }
}

function kindOf(value) {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return value === undefined || value === null ? String(value) : `a ${typeof value}`;
}

module.exports = { checkJson, checkObject, checkOptions, checkedNumber };
