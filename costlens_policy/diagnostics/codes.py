"""Every code that a diagnostic can carry. A number, once released, is never used for anything else."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["CODES", "Code"]


@dataclass(frozen=True, slots=True)
class Code:
    """``id`` such as ``CL302``, a short ``name`` for people, and the ``title`` of its page in docs/codes."""

    id: str
    name: str
    title: str


_SOURCE: Final = (
    Code("CL001", "unreadable-file", "file cannot be read"),
    Code("CL002", "file-too-large", "file is too large"),
    Code("CL003", "not-utf-8", "file is not UTF-8"),
    Code("CL004", "forbidden-character", "character that YAML text must not contain"),
    Code("CL005", "yaml-syntax", "text is not YAML"),
    Code("CL006", "tab-indentation", "tab in the indentation"),
    Code("CL007", "empty-file", "file is empty"),
    Code("CL008", "duplicate-key", "key appears twice"),
    Code("CL009", "merge-key", "merge key"),
    Code("CL010", "unknown-alias", "alias without an anchor"),
    Code("CL011", "duplicate-anchor", "anchor is set twice"),
    Code("CL012", "recursive-alias", "alias inside its own value"),
    Code("CL013", "too-many-aliased", "aliases repeat too much"),
    Code("CL014", "truth-word", "text that others read as a truth value"),
    Code("CL015", "ambiguous-number", "number that others read differently"),
    Code("CL016", "unusable-number", "number that cannot be used"),
    Code("CL017", "impossible-date", "date that does not exist"),
    Code("CL018", "key-not-text", "key is not text"),
    Code("CL019", "tag", "YAML tag"),
    Code("CL020", "too-deep", "nested too deeply"),
    Code("CL021", "too-many-values", "file holds too many values"),
    Code("CL022", "unsafe-layout", "file cannot be laid out safely"),
    Code("CL023", "comment-in-quotes", "comment cuts a text off"),
    Code("CL024", "unusable-plan", "file is not a plan that was saved"),
    Code("CL025", "foreign-plan", "plan was saved by another version"),
)
_SCHEMA: Final = (
    Code("CL101", "unknown-api-version", "unknown apiVersion"),
    Code("CL102", "unknown-kind", "unknown kind of document"),
    Code("CL103", "unknown-key", "unknown key"),
    Code("CL104", "missing-key", "key is missing"),
    Code("CL105", "wrong-type", "value of the wrong type"),
    Code("CL106", "unknown-value", "value is not one of those allowed"),
    Code("CL107", "wrong-form", "text of the wrong form"),
    Code("CL108", "out-of-range", "number, text or list out of range"),
    Code("CL109", "wrong-alternatives", "none or several of keys that exclude each other"),
    Code("CL110", "no-value", "key without a value"),
    Code("CL111", "contradiction", "keys that do not go together"),
)
_LINKING: Final = (
    Code("CL201", "no-policy-set", "no policy set"),
    Code("CL202", "several-policy-sets", "several policy sets"),
    Code("CL203", "missing-file", "file that a document names is missing"),
    Code("CL204", "outside-repository", "path leads out of the repository"),
    Code("CL205", "wrong-kind", "document of another kind than needed"),
    Code("CL206", "policy-twice", "policy or catalogue is there twice"),
    Code("CL207", "duplicate-rule-id", "two rules with the same id"),
    Code("CL208", "unknown-model", "unknown model"),
    Code("CL209", "unknown-budget", "unknown budget in an expression"),
    Code("CL210", "unknown-type", "unknown type of an attribute"),
    Code("CL211", "wrong-default", "default that the attribute cannot have"),
    Code("CL212", "standard-attribute", "declaration that does not fit the attribute"),
    Code("CL213", "unused-variable", "unused variable"),
    Code("CL214", "variable-order", "variable read before it is there"),
    Code("CL215", "out-of-reach", "variable not known at this step"),
    Code("CL216", "unlisted-policy", "policy that no policy set lists"),
    Code("CL217", "version-of-model", "version of a model under the name of that model"),
    Code("CL218", "unlisted-catalogue", "catalogue that no policy set lists"),
    Code("CL219", "unread-file", "document in a file that is not read"),
)
_EXPRESSIONS: Final = (
    Code("CL301", "expression-syntax", "expression that cannot be read"),
    Code("CL302", "unknown-variable", "unknown variable"),
    Code("CL303", "unknown-function", "unknown function"),
    Code("CL304", "no-overload", "no overload fits"),
    Code("CL305", "expression-limit", "expression is too large"),
    Code("CL306", "invalid-literal", "literal that has no value"),
    Code("CL307", "reserved-word", "reserved word"),
    Code("CL308", "macro-use", "macro that is not used as it must be"),
    Code("CL309", "unexpected-type", "value of a type that cannot stand here"),
    Code("CL310", "mixed-numbers", "numbers of different types in arithmetic"),
    Code("CL311", "invalid-pattern", "pattern that is not RE2"),
    Code("CL312", "failing-conversion", "literal that cannot be converted"),
    Code("CL313", "undeclared-value", "comparison with a value that is not declared"),
    Code("CL314", "unguarded-attribute", "optional attribute read without a guard"),
    Code("CL315", "different-results", "results of different types"),
    Code("CL316", "no-such-member", "value without such a member"),
    Code("CL317", "message-literal", "protobuf message"),
    Code("CL318", "invalid-key", "key that a map cannot have"),
    Code("CL319", "expression-cost", "expression that may take too long"),
)
_MEANING: Final = (
    Code("CL401", "rewrite-conflict", "two rewrites set the same"),
    Code("CL402", "soft-limit", "soft limit that is not below the hard limit"),
    Code("CL403", "threshold-order", "thresholds out of order"),
    Code("CL404", "unknown-time-zone", "unknown time zone"),
    Code("CL405", "empty-window", "window in which nothing can happen"),
    Code("CL406", "budget-by-model", "condition that reads a budget of a model"),
    Code("CL407", "dearer-downgrade", "downgrade to a dearer model"),
    Code("CL408", "repeated-candidate", "candidate that is named twice"),
    Code("CL409", "unpriced-candidate", "candidate without a price"),
    Code("CL410", "outdated-candidate", "candidate that is deprecated or retired"),
    Code("CL411", "split-without-shares", "split without shares"),
    Code("CL412", "unreachable-route", "route that is never reached"),
    Code("CL413", "shadowed-rule", "rule that another one covers"),
    Code("CL414", "skipped-deny", "deny that can be skipped"),
    Code("CL415", "unmeetable-choice", "choice that no model can win"),
    Code("CL416", "unused-catalogue", "unused catalogue"),
    Code("CL417", "no-effect", "key without effect"),
    Code("CL418", "invalid-pattern", "pattern that is not RE2"),
    Code("CL419", "unknown-placeholder", "placeholder that nothing fills in"),
    Code("CL420", "mixed-scripts", "word of mixed scripts"),
    Code("CL421", "unlikely-parameter", "unlikely parameter"),
    Code("CL422", "unknown-model-value", "comparison with an unknown model, provider or family"),
    Code("CL423", "constant-condition", "condition that never or always holds"),
    Code("CL424", "empty-policy", "policy without rules"),
    Code("CL425", "denied-by-default", "policy set that refuses everything"),
    Code("CL426", "steering-parameter", "parameter that would steer the call"),
    Code("CL427", "excluded-candidate", "model that may never serve where it is named"),
    Code("CL428", "spelled-model", "binding rule that goes by the caller's spelling"),
    Code("CL429", "unknown-region", "numbering plan of an unknown country"),
)
_MONEY: Final = (
    Code("CL501", "unknown-import", "import matches no model"),
    Code("CL502", "unknown-catalogue-model", "catalogue refers to a model that it does not have"),
    Code("CL503", "name-taken", "one name for two models"),
    Code("CL504", "ambiguous-name", "name of several imported models"),
    Code("CL505", "model-circle", "model is taken from itself"),
    Code("CL506", "unpriced-model", "model has no prices"),
    Code("CL507", "incomplete-price", "price of input or output tokens is missing"),
    Code("CL508", "period-order", "price periods are out of order"),
    Code("CL509", "long-context-order", "long-context thresholds are out of order"),
    Code("CL510", "unlikely-price", "price looks like another unit"),
    Code("CL511", "price-out-of-range", "price is out of range"),
    Code("CL512", "two-price-sources", "model has two sources of prices"),
    Code("CL513", "retired-before-deprecated", "model is retired before it is deprecated"),
    Code("CL514", "output-above-context", "output limit is above the context window"),
    Code("CL515", "latency-order", "latencies are out of order"),
    Code("CL516", "empty-quality", "quality is empty"),
    Code("CL517", "lock-changed", "locked catalogue was changed"),
    Code("CL518", "tier-of-other-name", "service tier is not called so"),
)
_TESTS: Final = (
    Code("CL601", "unknown-fixture", "unknown fixture"),
    Code("CL602", "unknown-suite-rule", "unknown rule in a suite"),
    Code("CL603", "unknown-suite-model", "unknown model in a suite"),
    Code("CL604", "unknown-suite-budget", "unknown budget in a suite"),
    Code("CL605", "unknown-suite-attribute", "unknown request attribute in a suite"),
    Code("CL606", "unknown-axis", "unknown axis"),
    Code("CL607", "equal-case-names", "two cases with the same name"),
    Code("CL608", "empty-suite", "suite without cases"),
    Code("CL609", "matrix-too-large", "matrix with too many combinations"),
    Code("CL610", "time-not-fixed", "suite that does not fix the time"),
    Code("CL611", "unusable-series", "series that cannot be read at the time of a case"),
    Code("CL612", "unknown-suite-policy", "unknown policy in a suite"),
    Code("CL613", "invalid-combination", "combination of a matrix that is not a valid case"),
    Code("CL614", "idle-exception", "exception that leaves nothing out"),
    Code("CL615", "invalid-expected-pattern", "pattern of an expectation that is not RE2"),
    Code("CL616", "unknown-suite-error", "unknown run-time error in a suite"),
    Code("CL617", "unused-fixture", "fixture that no case uses"),
    Code("CL618", "idle-merge", "part of a case that changes nothing"),
    Code("CL619", "repeated-case", "two cases that ask and expect the same"),
    Code("CL620", "idle-pattern", "expectation that every text meets"),
)
_RUN_TIME: Final = (
    Code("CL901", "no-matching-overload", "no overload for these values"),
    Code("CL902", "no-such-key", "key is not there"),
    Code("CL903", "index-out-of-range", "no element at this index"),
    Code("CL904", "number-out-of-range", "number does not fit"),
    Code("CL905", "division-by-zero", "division by zero"),
    Code("CL906", "bad-conversion", "text that cannot be converted"),
    Code("CL907", "bad-map-key", "key that a map cannot have"),
    Code("CL908", "bad-argument", "argument out of the function's range"),
    Code("CL909", "bad-pattern", "pattern is not RE2"),
    Code("CL910", "time-out-of-range", "time out of range"),
    Code("CL911", "unknown-time-zone", "unknown time zone"),
    Code("CL912", "no-optional-value", "optional without a value"),
    Code("CL913", "unbound-name", "name without a value"),
    Code("CL914", "too-many-iterations", "too many elements visited"),
    Code("CL915", "value-too-large", "value would be too large"),
    Code("CL916", "too-deep-to-evaluate", "nested too deeply to evaluate"),
    Code("CL921", "unacceptable-request", "request that cannot be decided"),
    Code("CL922", "unusable-balances", "balances that cannot be used"),
    Code("CL931", "limit-not-an-amount", "limit of a budget is not an amount"),
    Code("CL932", "score-not-a-number", "score of a choice is not a number"),
    Code("CL951", "parameter-not-a-number", "parameter to clamp is not a number"),
    Code("CL952", "unreadable-message", "message whose texts cannot be found"),
    Code("CL953", "value-not-a-text", "value of a template is not a text"),
    Code("CL954", "rewrite-not-finished", "rewrite that does not end in time"),
)

CODES: Final[dict[str, Code]] = {
    code.id: code
    for phase in (_SOURCE, _SCHEMA, _LINKING, _EXPRESSIONS, _MEANING, _MONEY, _TESTS, _RUN_TIME)
    for code in phase
}
