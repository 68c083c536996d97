"use strict";

/** Throw a `TypeError` for an option that nobody reads, which may be a slip of the pen. */
function checkOptions(given, known, whose) {
  const unknown = Object.keys(given).find((name) => !known.includes(name));
  if (unknown !== undefined) throw new TypeError(`${whose} has no option \`${unknown}\`; it has ${known.join(", ")}`);
}

/** Return a number of an option. Throws a `TypeError` for one that cannot be one. */
function checkedNumber(name, value, { isWhole = false } = {}) {
  const isRight = typeof value === "number" && value >= 0 && (!isWhole || Number.isInteger(value) || value === Infinity);
  if (!isRight) throw new TypeError(`${name} must be a non-negative ${isWhole ? "whole " : ""}number, got ${String(value)}`);
  return value;
}

/** Throw a `TypeError` for a number that JSON would turn into null. */
function checkFinite(value) {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError(`a number must be finite, got ${value}`);
  if (typeof value === "object" && value !== null) Object.values(value).forEach(checkFinite);
}

module.exports = { checkFinite, checkOptions, checkedNumber };
