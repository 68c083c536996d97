"use strict";

/** The service refused a request. `status` is that of HTTP, 0 where there was no answer; `code` is the reason in a word. */
class ServiceError extends Error {
  constructor(message, { status = 0, code = "unreachable", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = this.constructor.name;
    this.status = status;
    this.code = code;
  }
}

/**
 * A request was denied. `rule` decided, or `budget` had no room for `key` until `resetsAt`: that share had `used` and `held` so much of
 * `limit`, exact numbers as text in `unit`, and the next of its holds ends by itself at `holdEndsAt`. `over` is the run that is over, if
 * the call was refused for that: `code` is `run_ended` where it has ended.
 */
class DeniedError extends ServiceError {
  constructor(message, facts = {}) {
    super(message, { status: facts.status ?? 403, code: facts.code ?? "policy_denied" });
    this.rule = facts.rule ?? null;
    this.budget = facts.budget ?? null;
    this.key = facts.key ?? null;
    this.resetsAt = facts.resets_at ? new Date(facts.resets_at) : null;
    this.unit = facts.unit ?? null;
    this.used = facts.used ?? null;
    this.held = facts.held ?? null;
    this.limit = facts.limit ?? null;
    this.holdEndsAt = facts.hold_ends_at ? new Date(facts.hold_ends_at) : null;
    this.setAside = facts.set_aside ?? null;
    this.over = facts.over ?? null;
    this.approval = facts.approval ?? null;
    this.reasons = facts.reasons ?? [message];
  }
}

/** The service could not be reached, or not do its work, however often it was asked. Repeating is harmless. */
class UnavailableError extends ServiceError {}

module.exports = { DeniedError, ServiceError, UnavailableError };
