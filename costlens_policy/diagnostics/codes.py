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
_LINKING: Final = ()
_EXPRESSIONS: Final = ()
_MEANING: Final = ()
_MONEY: Final = ()
_TESTS: Final = (
    Code("CL601", "unknown-fixture", "unknown fixture"),
    Code("CL602", "unknown-rule", "unknown rule in a suite"),
    Code("CL603", "unknown-model-expected", "unknown model in a suite"),
    Code("CL604", "unknown-budget", "unknown budget in a suite"),
    Code("CL605", "unknown-request-attribute", "unknown request attribute in a suite"),
    Code("CL606", "unknown-axis", "unknown axis"),
    Code("CL607", "equal-case-names", "two cases with the same name"),
    Code("CL608", "empty-suite", "suite without cases"),
    Code("CL609", "matrix-too-large", "matrix with too many combinations"),
    Code("CL610", "time-not-fixed", "suite that does not fix the time"),
    Code("CL611", "policy-set-out-of-reach", "policy set that a suite cannot test"),
    Code("CL612", "unusable-series", "series that cannot be read at the time of a case"),
    Code("CL613", "unknown-policy", "unknown policy in a suite"),
    Code("CL614", "invalid-combination", "combination of a matrix that is not a valid case"),
    Code("CL615", "idle-exception", "exception that leaves nothing out"),
    Code("CL616", "invalid-expected-pattern", "pattern of an expectation that is not RE2"),
    Code("CL617", "unknown-error-code", "unknown run-time error code in a suite"),
)
_RUN_TIME: Final = ()

CODES: Final[dict[str, Code]] = {
    code.id: code
    for phase in (_SOURCE, _SCHEMA, _LINKING, _EXPRESSIONS, _MEANING, _MONEY, _TESTS, _RUN_TIME)
    for code in phase
}
