"""What multiplies the prices of a model: where a call has to run, and how fast it is to be answered.

Sources: Claude API documentation, "Data residency", "Fast mode" and "Pricing" (LiteLLM's price file agrees); Amazon
Bedrock's price list, "Latency optimized inference".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue.model import Model
from costlens_policy.money import add, multiply, subtract

__all__ = ["MULTIPLYING", "MULTIPLYING_NAMES", "asked_multiples", "multiple_of", "multiplied"]

MULTIPLYING: Final = ("inference_geo", "speed")
"""Anthropic's parameters of a request, and fields of a usage."""
_LATENCY: Final = ("performanceConfig", "performanceConfigLatency")
"""Bedrock's, of Converse and of InvokeModel."""
MULTIPLYING_NAMES: Final = frozenset((*MULTIPLYING, *_LATENCY))

_ONE: Final = Decimal(1)
_ELSEWHERE: Final = frozenset({"global", "not_available", ""})
_US: Final = Decimal("1.1")
_US_FROM: Final = (4, 6)
"""The first generation of Claude whose calls cost more where they have to stay in the United States."""
_USUAL_SPEED: Final = frozenset({"standard", "default", ""})
_FAST: Final = {"opus-4-6": Decimal(6), "opus-4-7": Decimal(6), "opus-4-8": Decimal(2)}
"""What fast mode multiplies prices by."""
_OPTIMIZED: Final = Decimal("1.25")
"""What Bedrock's optimized latency multiplies prices by, where it is not free."""
_GENERATION: Final = re.compile(
    r"claude-(?P<family>[a-z]+)-(?P<major>\d)(?:[-.](?P<minor>\d{1,2}))?(?!\d)"
    r"|claude-(?P<major2>\d)(?:[-.](?P<minor2>\d{1,2}))?-(?P<family2>[a-z]+)"
)


def asked_multiples(params: Mapping[str, Any]) -> tuple[str | None, str | None] | None:
    """Return where and how fast the parameters of a request ask a call to run; None where they leave both open."""
    if MULTIPLYING_NAMES.isdisjoint(params):
        return None
    geo, speed = (_word(params.get(name)) for name in MULTIPLYING)
    for name in _LATENCY:
        asked = params.get(name)
        speed = speed or _word(asked.get("latency") if isinstance(asked, Mapping) else asked)
    return None if geo is None and speed is None else (geo, speed)


def _word(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else repr(value)


def multiple_of(model: Model, geo: str | None, speed: str | None) -> tuple[Decimal, str]:
    """Return what the prices of a model are multiplied by on some terms, and what is not known of that.

    Terms or models that are not known count as the dearest that are.
    """
    generation = _generation(model)
    multiple, remarks = _ONE, list[str]()
    where, how_fast = (geo or "").lower(), (speed or "").lower()
    if where not in _ELSEWHERE and (generation is None or generation[1] >= _US_FROM):
        multiple = _US
        if where != "us" or generation is None:
            remarks.append(f"what `inference_geo: {geo}` costs is not known; it counts {_US} times")
    if how_fast == "optimized":
        multiple = multiply(multiple, _OPTIMIZED)
    elif how_fast not in _USUAL_SPEED:
        known = _FAST.get(generation[0]) if generation is not None and how_fast == "fast" else None
        if known is None:
            known = max(_FAST.values())
            remarks.append(f"what `speed: {speed}` costs is not known; it counts {known} times")
        multiple = multiply(multiple, known)
    return multiple, "; ".join(remarks)


def multiplied(cost: Decimal, multiple: Decimal, per_request: Decimal) -> Decimal:
    """Return the cost of a call at a multiple of the prices of its tokens; that of the request itself stays."""
    return add(multiply(subtract(cost, per_request), multiple), per_request)


def _generation(model: Model) -> tuple[str, tuple[int, int]] | None:
    """Return family and generation of a Claude, such as ``opus-4-6`` and (4, 6); None for a name that tells none."""
    for name in (model.name, *model.aliases, model.base or ""):
        found = _GENERATION.search(name.lower())
        if found is not None:
            family = found["family"] or found["family2"]
            major, minor = found["major"] or found["major2"], found["minor"] or found["minor2"] or "0"
            return f"{family}-{major}-{minor}", (int(major), int(minor))
    return None
