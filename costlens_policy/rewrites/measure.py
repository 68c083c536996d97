"""How many tokens the texts of a request have."""

from __future__ import annotations

from costlens_policy.rewrites.content import Content
from costlens_policy.tokens import REPLY_TOKENS, Tally

__all__ = ["beside_messages", "content_tokens"]


def content_tokens(content: Content, tally: Tally) -> int:
    """Return the tokens of the prompt or the messages, and of the system text.

    Raises ``RequestError`` for content nested without end.
    """
    return beside_messages(content, tally) + sum(tally.message(message) for message in content.messages or ())


def beside_messages(content: Content, tally: Tally) -> int:
    """Return the tokens of everything but the messages themselves."""
    total = tally.value(content.prompt) + tally.value(content.system) + tally.content(content.params.get("system"))
    return total if content.messages is None else total + REPLY_TOKENS
