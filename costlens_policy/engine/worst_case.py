"""What a call costs at most: every token as the dearest kind that the provider may charge it as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import cached_property
from typing import Any, Final

from costlens_policy.catalogue import Model, Rates, Usage
from costlens_policy.expressions import Value
from costlens_policy.money import round_up

__all__ = ["TokenKinds"]

_MARKS: Final = ("cache_control", "cachePoint", "cache_point")
"""Keys by which a request asks for a cache write: Anthropic's, which others took over, and Bedrock's."""
_USUAL_TIERS: Final = frozenset({"auto", "default", "standard", "standard_only", "flex", "batch", "scale", "reserved"})
"""Service tiers that cost what the price list says, or less."""


class TokenKinds:
    """As which kinds of tokens one request may be charged, whatever model serves it."""

    def __init__(self, request: Mapping[str, Value], needs: frozenset[str]) -> None:
        self._request = request
        self._input: Final = tuple(_inputs(needs))
        self._output: Final = (
            ("output", "reasoning", "output_audio") if "audio_output" in needs else ("output", "reasoning")
        )

    def worst_cost(
        self, model: Model, rates: Rates, params: Mapping[str, Any], prompt_tokens: int, output_tokens: int
    ) -> Decimal | None:
        """Return the US dollars that the ledger holds for the call; None where its service tier has no known price."""
        if params.get("service_tier") is not None and params["service_tier"] not in _USUAL_TIERS:
            return None
        prices = rates.usd_per_million_tokens
        read = max(self._input, key=prices.__getitem__)
        write = self._write(model, prices, params)
        if write and prices[write] > prices[read]:
            read = write
        said = max(self._output, key=prices.__getitem__)
        return round_up(rates.cost(Usage(**{read: prompt_tokens, said: output_tokens})))

    def _write(self, model: Model, prices: Mapping[str, Decimal], params: Mapping[str, Any]) -> str:
        """Return the kind of a cache write, or an empty text where none can happen or it costs nothing more."""
        if max(prices["cache_write"], prices["cache_write_1h"]) <= prices["input"]:
            return ""
        lifetimes = self._lifetimes | {_lifetime(params[name]) for name in _MARKS if name in params}
        if "1h" in lifetimes:
            return max("cache_write", "cache_write_1h", key=prices.__getitem__)
        return "cache_write" if lifetimes or not _writes_on_marks_only(model) else ""

    @cached_property
    def _lifetimes(self) -> frozenset[str]:
        """Lifetimes of the cache writes that the request asks for, looked for only where some model charges them."""
        places = (self._request.get(name) for name in ("messages", "tools"))
        return frozenset(lifetime for place in places for lifetime in _marked(place))


def _inputs(needs: frozenset[str]) -> Iterator[str]:
    yield from ("input", "cache_read")
    if "audio_input" in needs:
        yield from ("input_audio", "cache_read_audio")
    if needs & {"vision", "file_input"}:
        yield "input_image"


def _writes_on_marks_only(model: Model) -> bool:
    """Whether the provider caches only what the request marks, as Anthropic's models do wherever they run.

    Others that charge for cache writes may write on their own.
    """
    return model.provider == "anthropic" or "claude" in model.name.lower()


def _marked(value: Any) -> Iterator[str]:
    """Yield the lifetime of each mark anywhere in a value."""
    rest = [value]
    while rest:
        item = rest.pop()
        if isinstance(item, Mapping):
            for name in _MARKS:
                if item.get(name) is not None:
                    yield _lifetime(item[name])
            rest.extend(item.values())
        elif isinstance(item, list | tuple):
            rest.extend(item)


def _lifetime(mark: Any) -> str:
    return "1h" if isinstance(mark, Mapping) and mark.get("ttl") == "1h" else "5m"
