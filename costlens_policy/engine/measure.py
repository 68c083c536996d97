"""How large a request is: its tokens, counted once before the rewrites and again where they changed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.parameters import OUTPUT_LIMIT, OUTPUT_LIMIT_NAMES, SYSTEM, texts_of
from costlens_policy.expressions import Value
from costlens_policy.rewrites import Content, content_tokens
from costlens_policy.tokens import Tally, Tokenizer

__all__ = ["GIVEN", "content_of", "count_request", "same_texts", "verified"]

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
    aside = texts_of(content.params) if len(content.params) > 1 else ()
    if prompt is not None and not aside and SYSTEM not in content.params and _ASIDE.isdisjoint(request):
        written = 0 if system is None else _written(tokenizer.count, system)
        return tokenizer.count(prompt) + written, tokenizer.name
    tally = Tally(tokenizer)
    total = content_tokens(content, tally) + tally.tools(request.get("tools"))
    total += tally.form(request.get("response_format"))
    total += sum(map(tally.value, aside))
    return total, tally.basis


def verified(plan: Plan, request: dict[str, Value]) -> tuple[int, str] | None:
    """Raise ``prompt_tokens`` of a request to what its texts have, where a caller says less; return that count.

    The claim of the caller stays where it is larger, and where there is none, none is made: None is returned then.
    """
    if "prompt_tokens" not in request:
        return None
    counted = count_request(content_of(request, plan.defaults.max_output_tokens), request, plan.tokenizer)
    request["prompt_tokens"] = max(request["prompt_tokens"], counted[0])
    return counted


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
        and one.params.get(SYSTEM) is other.params.get(SYSTEM)
        and (one.params is other.params or texts_of(one.params) == texts_of(other.params))
    )
