"""A real tokenizer: o200k, the vocabulary of OpenAI's models since GPT-4o, from the extra ``tokenizer``."""

from __future__ import annotations

import importlib
from typing import Any, Final

from costlens_policy.errors import InputError

__all__ = ["BpeOpenai"]

_PIECE: Final = 500_000
"""Characters handed over at once; the package refuses a million."""


class BpeOpenai:
    """Counts with ``bpe-openai``, whose vocabulary comes with the package: nothing is downloaded."""

    __slots__ = ("_encoding",)

    name = "o200k"

    def __init__(self) -> None:
        """Load the vocabulary (about 0.2 s). Raises ``InputError`` when the extra is not installed."""
        try:
            package: Any = importlib.import_module("bpe_openai")
        except ImportError:
            raise InputError(
                "the tokenizer `o200k` needs the extra: `pip install 'costlens-policy[tokenizer]'`"
            ) from None
        self._encoding = package.get_encoding("o200k_base")

    def __getnewargs__(self) -> tuple[()]:
        """Return what makes it again when a plan is saved and loaded: nothing."""
        return ()

    def count(self, text: str) -> int:
        """Return the number of tokens. Text that looks like a special token counts as text."""
        if len(text) <= _PIECE:
            return len(self._encoding.encode_ordinary(text))
        pieces = (text[start : start + _PIECE] for start in range(0, len(text), _PIECE))
        return sum(len(self._encoding.encode_ordinary(piece)) for piece in pieces)
