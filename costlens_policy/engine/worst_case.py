"""What a call costs at most: every token as the dearest kind that the provider may charge it as."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.model import Model
from costlens_policy.catalogue.rates import TEXT_OUTPUT, Rates
from costlens_policy.expressions import Value
from costlens_policy.money import round_up

__all__ = ["TokenKinds"]

_MARKS: Final = ("cache_control", "cachePoint", "cache_point")
"""Keys by which a request asks for a cache write: Anthropic's, which others took over, and Bedrock's."""
_INPUTS: Final = ("input", "cache_read")
_WRITES: Final = ("cache_write", "cache_write_1h")
_WITH_WRITES: Final = ("input", *_WRITES)
"""The dearest of these is ``input`` where cache writes cost nothing more; then nobody needs to look for them."""


class TokenKinds:
    """As which kinds of tokens one request may be charged, whatever model serves it."""

    __slots__ = ("_input", "_marks", "_output", "_request")

    def __init__(self, request: Mapping[str, Value], needs: frozenset[str]) -> None:
        self._request = request
        self._input = (*_INPUTS, *_further_inputs(needs)) if needs else _INPUTS
        self._output = (*TEXT_OUTPUT, "output_audio") if "audio_output" in needs else TEXT_OUTPUT
        self._marks: frozenset[str] | None = None

    def worst_cost(
        self, model: Model, possible: Iterable[Rates], params: Mapping[str, Any], prompt_tokens: int, output_tokens: int
    ) -> Decimal | None:
        """Return the US dollars that the ledger holds for a call which may have any of these rates.

        It is None where there are none: nobody knows what its service tier costs.
        """
        costs = [self._at_rates(model, rates, params, prompt_tokens, output_tokens) for rates in possible]
        return max(costs, default=None)

    def _at_rates(
        self, model: Model, rates: Rates, params: Mapping[str, Any], prompt_tokens: int, output_tokens: int
    ) -> Decimal:
        read = rates.dearest(self._input)
        if rates.dearest(_WITH_WRITES) != "input":
            read = rates.dearest((read, *self._writes(model, params)))
        cost = rates.cost_as(read, prompt_tokens, rates.dearest(self._output), output_tokens)
        return cost if rates.is_coarse else round_up(cost)

    def _writes(self, model: Model, params: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the kinds of the cache writes that can happen."""
        lifetimes = self._lifetimes | {_lifetime(params[name]) for name in _MARKS if name in params}
        if "1h" in lifetimes:
            return _WRITES
        return _WRITES[:1] if lifetimes or not _writes_on_marks_only(model) else ()

    @property
    def _lifetimes(self) -> frozenset[str]:
        """Lifetimes of the cache writes that the request asks for, looked for only where some model charges them."""
        if self._marks is None:
            places = (self._request.get(name) for name in ("messages", "tools"))
            self._marks = frozenset(lifetime for place in places for lifetime in _marked(place))
        return self._marks


def _further_inputs(needs: frozenset[str]) -> Iterator[str]:
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
