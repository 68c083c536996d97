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
_SCHEMA: Final = ()
_LINKING: Final = ()
_EXPRESSIONS: Final = ()
_MEANING: Final = ()
_MONEY: Final = ()
_TESTS: Final = ()
_RUN_TIME: Final = ()

CODES: Final[dict[str, Code]] = {
    code.id: code
    for phase in (_SOURCE, _SCHEMA, _LINKING, _EXPRESSIONS, _MEANING, _MONEY, _TESTS, _RUN_TIME)
    for code in phase
}
