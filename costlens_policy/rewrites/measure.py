"""How many tokens the texts of a request have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from costlens_policy.rewrites.content import Content
from costlens_policy.tokens import REPLY_TOKENS, Tally

__all__ = ["MOST_CHARACTERS", "beside_messages", "content_tokens", "is_longer"]

MOST_CHARACTERS: Final = 4_000_000
"""Characters of a request, about a million tokens, beyond which nothing looks for texts to rewrite."""

_PLAIN: Final = frozenset({int, float, bool, type(None)})


def content_tokens(content: Content, tally: Tally) -> int:
    """Return the tokens of the prompt or the messages, and of the system text.

    Raises ``RequestError`` for content nested without end.
    """
    return beside_messages(content, tally) + sum(tally.message(message) for message in content.messages or ())


def beside_messages(content: Content, tally: Tally) -> int:
    """Return the tokens of everything but the messages themselves."""
    total = tally.value(content.prompt) + tally.value(content.system) + tally.content(content.params.get("system"))
    return total if content.messages is None else total + REPLY_TOKENS


def is_longer(value: Any, most: float) -> bool:
    """Say whether the texts of a value have more than so many characters together; names of keys are texts, too."""
    left = most
    rest = [value]
    while rest:
        item = rest.pop()
        kind = type(item)
        if kind is str:  # what stands in a request is plain, as nearly everything that is asked about
            left -= len(item)
        elif kind in _PLAIN:
            continue
        elif kind is dict or isinstance(item, Mapping):
            left -= len(item)
            rest += item.keys()
            rest += item.values()
        elif isinstance(item, list | tuple):
            left -= len(item)
            rest += item
        elif isinstance(item, str | bytes | bytearray):
            left -= len(item)
        if left < 0:
            return True
    return False
