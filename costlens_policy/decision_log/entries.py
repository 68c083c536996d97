"""What an entry of the log has, as JSON data.

``kind`` is ``decision``, ``hold`` (the decision of a guarded call that may proceed), ``charge`` or ``release``. Each
has an ``id`` and ``now``, all but a release also ``model``, ``tokens`` and the labels of the ``request``, by which
replay and reports read them. A charge or release follows each hold, with the same ``id``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from costlens_policy.engine.decision import Decision
from costlens_policy.engine.mask import Mask
from costlens_policy.money import plain
from costlens_policy.observers import ChargedCall
from costlens_policy.tokens.messages import TokenCounter

__all__ = ["VERSION", "charge_entry", "decision_entry", "release_entry"]

VERSION: Final = 1
"""Of the form of entries; counts up whenever readers of before would misread one."""


def decision_entry(decision: Decision, id: str, held: bool, mask: Mask, *, record: bool) -> dict[str, Any]:
    """Return the entry of a decision. ``masked`` names the attributes that are not as they were."""
    exported = decision.to_dict(record=record)
    shown = mask.masked(exported, decision.plan)
    given = exported["request"]
    masked = sorted(name for name in given if name not in shown["request"] or shown["request"][name] != given[name])
    return {
        "v": VERSION,
        "kind": "hold" if held else "decision",
        "id": id,
        "masked": masked,
        "denied": not decision.allowed,
        "tokens": _tokens_decided(decision),
        "notes": list(decision.notes),
        **shown,
    }


def charge_entry(decision: Decision, charge: ChargedCall, at: datetime, mask: Mask) -> dict[str, Any]:
    """Return the entry of a charge, with the labels of its request, and ``now`` as the time of its decision."""
    shown, _ = mask.request(_labels(decision), decision.plan)
    entry = {
        "v": VERSION,
        "kind": "charge",
        "id": charge.call,
        "now": _text(decision.now),
        "settled_at": _text(at),
        "model": charge.model,
        "rule": decision.rule,
        "basis": charge.basis,
        "cost_usd": None if charge.cost is None else plain(charge.cost),
        "tokens": _tokens(charge),
        "usage": {} if charge.usage is None else charge.usage.counted,
        "request": shown,
        "problems": list(charge.notes),
        "policy_digest": decision.policy_digest,
        "catalogue_digest": decision.catalogue_digest,
    }
    if charge.usage is None and (assumed := _tokens_assumed(decision, charge.model)):
        entry["assumed"] = assumed
    return entry


def release_entry(decision: Decision, id: str, at: datetime) -> dict[str, Any]:
    """Return the entry of a call that was given back; ``now`` is the time of its decision."""
    return {
        "v": VERSION,
        "kind": "release",
        "id": id,
        "now": _text(decision.now),
        "released_at": _text(at),
        "rule": decision.rule,
        "policy_digest": decision.policy_digest,
        "catalogue_digest": decision.catalogue_digest,
    }


def _tokens_decided(decision: Decision) -> dict[str, int]:
    """Return the tokens of a decision: as they were estimated, for a denial as the request has them."""
    estimate, request = decision.estimate, decision.request
    if estimate is not None:
        return {"prompt": estimate.prompt_tokens, "output": estimate.output_tokens}
    prompt = request.get("prompt_tokens")
    if prompt is None:
        counter = TokenCounter(decision.plan.tokenizer)
        prompt = counter.text(request.get("prompt") or "") + sum(map(counter.message, request.get("messages") or ()))
    return {"prompt": prompt, "output": request.get("max_output_tokens") or decision.plan.defaults.max_output_tokens}


def _labels(decision: Decision) -> Mapping[str, Any]:
    recorded = getattr(decision.plan, "recorded", ())  # a call that is settled by its id knows no request
    return {name: decision.request[name] for name in recorded if name in decision.request}


def _tokens(charge: ChargedCall) -> dict[str, int]:
    usage = charge.usage
    if usage is None:
        return {}
    counts = {
        "prompt": usage.prompt_tokens,
        "cached": usage.cache_read + usage.cache_read_audio,
        "cache_write": usage.cache_write,
        "cache_write_1h": usage.cache_write_1h,
        "output": usage.answer_tokens,
        "reasoning": usage.reasoning,
    }
    return {name: count for name, count in counts.items() if count or name in ("prompt", "output")}


def _tokens_assumed(decision: Decision, model: str) -> dict[str, int]:
    """Return the tokens by which a call was charged whose usage nobody knows; none where its hold does not tell."""
    estimate = next((call.estimate for call in decision.fallback_calls if call.model == model), decision.estimate)
    if estimate is None or not estimate.prompt_tokens:
        return {}
    return {"prompt": estimate.prompt_tokens, "output": estimate.output_tokens}


def _text(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
