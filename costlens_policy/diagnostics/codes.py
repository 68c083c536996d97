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


_SOURCE: Final = ()
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
