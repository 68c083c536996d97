"""Every code of a diagnostic. A released code is never reused."""

from __future__ import annotations

from typing import Final

from costlens_policy.frozen import frozen

__all__ = ["CODES", "Code"]


@frozen
class Code:
    """``id`` such as ``CL302``, a short ``name`` for people, and the ``title`` of its page in docs/codes."""

    id: str
    name: str
    title: str


_SOURCE: Final = (
    Code("CL001", "unreadable-file", "file cannot be read"),
    Code("CL002", "file-too-large", "file is too large"),
    Code("CL003", "not-utf-8", "file is not UTF-8"),
    Code("CL004", "forbidden-character", "character not allowed in YAML text"),
    Code("CL005", "yaml-syntax", "invalid YAML"),
    Code("CL006", "tab-indentation", "tab in the indentation"),
    Code("CL007", "empty-file", "file is empty"),
    Code("CL008", "duplicate-key", "duplicate key"),
    Code("CL009", "merge-key", "merge key"),
    Code("CL010", "unknown-alias", "alias without an anchor"),
    Code("CL011", "duplicate-anchor", "duplicate anchor"),
    Code("CL012", "recursive-alias", "alias inside its own value"),
    Code("CL013", "too-many-aliased", "aliases repeat too much"),
    Code("CL014", "boolean-word", "text that other readers take for a boolean"),
    Code("CL015", "ambiguous-number", "number that other readers read differently"),
    Code("CL016", "unusable-number", "unusable number"),
    Code("CL017", "impossible-date", "invalid date"),
    Code("CL018", "key-not-text", "key is not text"),
    Code("CL019", "tag", "YAML tag"),
    Code("CL020", "too-deep", "nested too deeply"),
    Code("CL021", "too-many-values", "file contains too many values"),
    Code("CL022", "unsafe-layout", "file cannot be formatted safely"),
    Code("CL023", "comment-in-quotes", "comment cuts off a value"),
    Code("CL024", "unusable-plan", "file is not a saved plan"),
    Code("CL025", "foreign-plan", "plan was saved by another version"),
)
_SCHEMA: Final = (
    Code("CL101", "unknown-api-version", "unknown apiVersion"),
    Code("CL102", "unknown-kind", "unknown kind of document"),
    Code("CL103", "unknown-key", "unknown key"),
    Code("CL104", "missing-key", "missing key"),
    Code("CL105", "wrong-type", "value of the wrong type"),
    Code("CL106", "unknown-value", "value is not allowed"),
    Code("CL107", "wrong-form", "malformed value"),
    Code("CL108", "out-of-range", "number, text or list out of range"),
    Code("CL109", "wrong-alternatives", "none or several of mutually exclusive keys"),
    Code("CL110", "no-value", "key without a value"),
    Code("CL111", "contradiction", "keys that contradict each other"),
)
_LINKING: Final = (
    Code("CL201", "no-policy-set", "no policy set"),
    Code("CL202", "several-policy-sets", "several policy sets"),
    Code("CL203", "missing-file", "missing file"),
    Code("CL204", "outside-repository", "path outside the repository"),
    Code("CL205", "wrong-kind", "document of the wrong kind"),
    Code("CL206", "policy-twice", "policy or catalogue listed twice"),
    Code("CL207", "duplicate-rule-id", "two rules with the same id"),
    Code("CL208", "unknown-model", "unknown model"),
    Code("CL209", "unknown-budget", "unknown budget in an expression"),
    Code("CL210", "unknown-type", "unknown attribute type"),
    Code("CL211", "wrong-default", "invalid default of an attribute"),
    Code("CL212", "standard-attribute", "declaration that does not fit the attribute"),
    Code("CL213", "unused-variable", "unused variable"),
    Code("CL214", "variable-order", "variable read before its definition"),
    Code("CL215", "out-of-reach", "variable not available at this step"),
    Code("CL216", "unlisted-policy", "policy that no policy set lists"),
    Code("CL217", "version-of-model", "model version served under another name"),
    Code("CL218", "unlisted-catalogue", "catalogue that no policy set lists"),
    Code("CL219", "unread-file", "document in a file that is not read"),
    Code("CL220", "hidden-variable", "variable that hides one of the policy set"),
    Code("CL221", "unusable-data", "value that a data document cannot have"),
    Code("CL222", "data-of-another-type", "data of another type than declared"),
    Code("CL223", "unlisted-data", "data document that no policy set lists"),
    Code("CL224", "unused-data", "data document that nothing reads"),
)
_EXPRESSIONS: Final = (
    Code("CL301", "expression-syntax", "expression cannot be parsed"),
    Code("CL302", "unknown-variable", "unknown variable"),
    Code("CL303", "unknown-function", "unknown function"),
    Code("CL304", "no-overload", "no matching overload"),
    Code("CL305", "expression-limit", "expression is too large"),
    Code("CL306", "invalid-literal", "malformed literal"),
    Code("CL307", "reserved-word", "reserved word"),
    Code("CL308", "macro-use", "misused macro"),
    Code("CL309", "unexpected-type", "unexpected type"),
    Code("CL310", "mixed-numbers", "numbers of different types in arithmetic"),
    Code("CL311", "invalid-pattern", "invalid RE2 pattern"),
    Code("CL312", "failing-conversion", "literal that cannot be converted"),
    Code("CL313", "undeclared-value", "comparison with an undeclared value"),
    Code("CL314", "unguarded-attribute", "optional attribute read without a guard"),
    Code("CL315", "different-results", "incompatible result types"),
    Code("CL316", "no-such-member", "no such member"),
    Code("CL317", "message-literal", "protobuf message"),
    Code("CL318", "invalid-key", "invalid map key"),
    Code("CL319", "expression-cost", "expression that may take too long"),
)
_MEANING: Final = (
    Code("CL401", "rewrite-conflict", "two rewrites set the same target"),
    Code("CL402", "soft-limit", "soft limit not below the hard limit"),
    Code("CL403", "threshold-order", "thresholds out of order"),
    Code("CL404", "unknown-time-zone", "unknown time zone"),
    Code("CL405", "empty-window", "empty window"),
    Code("CL406", "budget-by-model", "condition reads a budget scoped by model"),
    Code("CL407", "costlier-downgrade", "downgrade to a more expensive model"),
    Code("CL408", "repeated-candidate", "candidate listed twice"),
    Code("CL409", "unpriced-candidate", "candidate without a price"),
    Code("CL410", "outdated-candidate", "deprecated or retired candidate"),
    Code("CL411", "split-without-shares", "split without shares"),
    Code("CL412", "unreachable-route", "unreachable route"),
    Code("CL413", "shadowed-rule", "shadowed rule"),
    Code("CL414", "skipped-deny", "deny that can be skipped"),
    Code("CL415", "unmeetable-choice", "choice that no model can meet"),
    Code("CL416", "unused-catalogue", "unused catalogue"),
    Code("CL417", "no-effect", "key without effect"),
    Code("CL418", "invalid-pattern", "invalid RE2 pattern"),
    Code("CL419", "unknown-placeholder", "unknown placeholder"),
    Code("CL420", "mixed-scripts", "word in mixed scripts"),
    Code("CL421", "unlikely-parameter", "unlikely parameter"),
    Code("CL422", "unknown-model-value", "comparison with an unknown model, provider or family"),
    Code("CL423", "constant-condition", "condition that never or always holds"),
    Code("CL424", "empty-policy", "policy without rules"),
    Code("CL425", "denied-by-default", "policy set that refuses everything"),
    Code("CL426", "steering-parameter", "parameter that steers the call"),
    Code("CL427", "excluded-candidate", "candidate that can never serve"),
    Code("CL428", "spelled-model", "rule that depends on the caller's spelling"),
    Code("CL429", "unknown-region", "unknown numbering plan"),
    Code("CL430", "evaded-deny", "deny that callers can evade"),
    Code("CL431", "evaded-budget", "budget that callers can evade"),
)
_MONEY: Final = (
    Code("CL501", "unknown-import", "import matches no model"),
    Code("CL502", "unknown-catalogue-model", "reference to an unknown model in a catalogue"),
    Code("CL503", "name-taken", "one name for two models"),
    Code("CL504", "ambiguous-name", "ambiguous name of imported models"),
    Code("CL505", "model-circle", "circular model reference"),
    Code("CL506", "unpriced-model", "model has no prices"),
    Code("CL507", "incomplete-price", "price of input or output tokens is missing"),
    Code("CL508", "period-order", "price periods are out of order"),
    Code("CL509", "long-context-order", "long-context thresholds are out of order"),
    Code("CL510", "unlikely-price", "price looks like the wrong unit"),
    Code("CL511", "price-out-of-range", "price is out of range"),
    Code("CL512", "two-price-sources", "model has two sources of prices"),
    Code("CL513", "retired-before-deprecated", "model is retired before it is deprecated"),
    Code("CL514", "output-above-context", "output limit is above the context window"),
    Code("CL515", "latency-order", "latencies are out of order"),
    Code("CL516", "empty-quality", "quality is empty"),
    Code("CL517", "lock-changed", "locked catalogue has changed"),
    Code("CL518", "tier-of-other-name", "unknown service tier name"),
)
_TESTS: Final = (
    Code("CL601", "unknown-fixture", "unknown fixture"),
    Code("CL602", "unknown-suite-rule", "unknown rule in a suite"),
    Code("CL603", "unknown-suite-model", "unknown model in a suite"),
    Code("CL604", "unknown-suite-budget", "unknown budget in a suite"),
    Code("CL605", "unknown-suite-attribute", "unknown request attribute in a suite"),
    Code("CL606", "unknown-axis", "unknown axis"),
    Code("CL607", "equal-case-names", "duplicate case name"),
    Code("CL608", "empty-suite", "suite without cases"),
    Code("CL609", "matrix-too-large", "matrix with too many combinations"),
    Code("CL610", "time-not-fixed", "suite without a fixed time"),
    Code("CL611", "unusable-series", "series without a value at the time of a case"),
    Code("CL612", "unknown-suite-policy", "unknown policy in a suite"),
    Code("CL613", "invalid-combination", "invalid combination of a matrix"),
    Code("CL614", "idle-exception", "exception that excludes nothing"),
    Code("CL615", "invalid-expected-pattern", "invalid RE2 pattern in an expectation"),
    Code("CL616", "unknown-suite-error", "unknown run-time error in a suite"),
    Code("CL617", "unused-fixture", "unused fixture"),
    Code("CL618", "idle-merge", "part of a case without effect"),
    Code("CL619", "repeated-case", "duplicate case"),
    Code("CL620", "idle-pattern", "expectation that every text meets"),
)
_RUN_TIME: Final = (
    Code("CL901", "no-matching-overload", "no matching overload for these values"),
    Code("CL902", "no-such-key", "no such key"),
    Code("CL903", "index-out-of-range", "no element at this index"),
    Code("CL904", "number-out-of-range", "number out of range"),
    Code("CL905", "division-by-zero", "division by zero"),
    Code("CL906", "bad-conversion", "text cannot be converted"),
    Code("CL907", "bad-map-key", "invalid map key"),
    Code("CL908", "bad-argument", "argument out of range"),
    Code("CL909", "bad-pattern", "invalid RE2 pattern"),
    Code("CL910", "time-out-of-range", "time out of range"),
    Code("CL911", "unknown-time-zone", "unknown time zone"),
    Code("CL912", "no-optional-value", "optional without a value"),
    Code("CL913", "unbound-name", "name without a value"),
    Code("CL914", "too-many-iterations", "too many elements visited"),
    Code("CL915", "value-too-large", "value too large"),
    Code("CL916", "too-deep-to-evaluate", "nested too deeply to evaluate"),
    Code("CL921", "unacceptable-request", "invalid request"),
    Code("CL922", "unusable-balances", "invalid balances"),
    Code("CL931", "limit-not-an-amount", "budget limit is not an amount"),
    Code("CL932", "score-not-a-number", "score of a choice is not a number"),
    Code("CL951", "parameter-not-a-number", "parameter to clamp is not a number"),
    Code("CL952", "unreadable-message", "unreadable message"),
    Code("CL953", "value-not-a-text", "template value is not a string"),
    Code("CL954", "rewrite-not-finished", "rewrite does not finish"),
)

CODES: Final[dict[str, Code]] = {
    code.id: code
    for phase in (_SOURCE, _SCHEMA, _LINKING, _EXPRESSIONS, _MEANING, _MONEY, _TESTS, _RUN_TIME)
    for code in phase
}
