"""What a token count is, and who may give one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

__all__ = ["ESTIMATED", "TokenCount", "Tokenizer", "count"]

ESTIMATED: Final = "estimate"


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens. ``basis`` is the name of the tokenizer that counted every part of it, else ``estimate``."""

    tokens: int
    basis: str


class Tokenizer(Protocol):
    """Counts the tokens of a text. The same text gives the same number, always and everywhere."""

    @property
    def name(self) -> str:
        """Name that a plan records, such as ``estimate`` or ``o200k``."""

    def count(self, text: str) -> int:
        """Return the number of tokens; 0 only for the empty text. Lone surrogates are counted, not refused."""


def count(text: str, tokenizer: Tokenizer) -> TokenCount:
    """Return the tokens of a text."""
    return TokenCount(tokenizer.count(text), tokenizer.name)
