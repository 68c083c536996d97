"""How large a request is: its tokens, counted once before the rewrites and again where they changed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final

from costlens_policy.documents.targets import OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES
from costlens_policy.expressions import Value
from costlens_policy.rewrites import Content, content_tokens
from costlens_policy.tokens import Tally, Tokenizer

__all__ = ["GIVEN", "content_of", "count_request", "same_texts"]

GIVEN: Final = "request"
"""Basis of a token count that the caller gave."""
_ASIDE: Final = frozenset({"messages", "tools", "response_format"})
"""What a model reads besides a prompt and a system text."""


def content_of(request: Mapping[str, Value], max_output_tokens: int) -> Content:
    """Return what rewrites work on. The output limit is a parameter like any other; the default stands in for it.

    It is there under our name and under those that the request gave it, with one value: ``admit_request`` saw to that.
    """
    params: dict[str, Value] = dict(request.get("params", ()))
    if params:
        for name in OUTPUT_LIMIT_NAMES:
            if name in params and params[name] is None:
                del params[name]
    params[OUTPUT_LIMIT] = request.get(OUTPUT_LIMIT, max_output_tokens)
    messages = request.get("messages")
    return Content(request.get("prompt"), None if messages is None else tuple(messages), params)


def count_request(content: Content, request: Mapping[str, Value], tokenizer: Tokenizer) -> tuple[int, str]:
    """Return the tokens of all that the model reads, and their basis.

    That is the prompt or the messages, the system text, the tools, and the schema of the answer.
    """
    prompt, system = content.prompt, content.system
    if prompt is not None and "system" not in content.params and _ASIDE.isdisjoint(request):
        written = 0 if system is None else _written(tokenizer.count, system)
        return tokenizer.count(prompt) + written, tokenizer.name
    tally = Tally(tokenizer)
    total = content_tokens(content, tally) + tally.tools(request.get("tools"))
    form: Any = request.get("response_format")
    if isinstance(form, Mapping) and "json_schema" in form:
        total += tally.value(form["json_schema"])
    return total, tally.basis


@lru_cache(256)
def _written(count: Callable[[str], int], text: str) -> int:
    """Count the system text of a prompt. It is one that a policy wrote, the same for many requests."""
    return count(text)


def same_texts(one: Content, other: Content) -> bool:
    """Say whether two contents share their texts as objects, as rewrites leave them where they change nothing."""
    return (
        one.prompt is other.prompt
        and one.messages is other.messages
        and one.system is other.system
        and one.params.get("system") is other.params.get("system")
    )
