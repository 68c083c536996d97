"""How many tokens a request's content has."""

from __future__ import annotations

from costlens_policy.rewrites.content import Content
from costlens_policy.tokens import MESSAGE_TOKENS, REPLY_TOKENS, Tally, TokenCount, Tokenizer

__all__ = ["beside_messages", "count_content"]


def count_content(content: Content, tokenizer: Tokenizer) -> TokenCount:
    """Return the prompt tokens: messages or prompt, system text, and the declarations of tools in ``params``.

    A prompt counts as the one user message that it is sent as. Raises ``RequestError`` for content nested without end.
    """
    tally = Tally(tokenizer)
    total = beside_messages(content, tally)
    if content.messages is not None:
        total += sum(tally.message(message) for message in content.messages)
    if content.prompt is not None:
        total += MESSAGE_TOKENS + tally.text(content.prompt)
    return TokenCount(total, tally.basis)


def beside_messages(content: Content, tally: Tally) -> int:
    """Return the tokens of everything but the messages and the prompt."""
    total = REPLY_TOKENS
    if content.system is not None:
        total += MESSAGE_TOKENS + tally.text(content.system)
    if (system := content.params.get("system")) is not None:
        total += MESSAGE_TOKENS + tally.content(system)
    return total + tally.value(content.params.get("tools"))
