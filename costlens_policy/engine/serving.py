"""Step 4, the candidate itself: what keeps a model from serving this request, budgets aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from costlens_policy.compiler.snapshot import ModelOnDay
from costlens_policy.engine.context import Context
from costlens_policy.engine.decision import Estimate
from costlens_policy.engine.preparation import Prepared
from costlens_policy.money import format_usd, usd

__all__ = ["needs_of", "obstacle"]

_MODALITIES: Final = {"image": "vision", "audio": "audio_input", "audio_output": "audio_output", "file": "file_input"}
_PARTS: Final = {
    "image": "vision", "image_url": "vision", "input_image": "vision", "audio": "audio_input",
    "input_audio": "audio_input", "file": "file_input", "input_file": "file_input",
}  # fmt: skip
"""Types of message parts in the shapes of OpenAI and Anthropic, and what a model that reads them can do."""


def needs_of(context: Context) -> frozenset[str]:
    """Return the capabilities that the request needs: tools, modalities beyond text, a structured answer.

    What is not known is a need that no model meets, never one that is passed over.
    """
    request = context.request
    needs = {_MODALITIES.get(item, item) for item in request.get("modalities", ()) if item != "text"}
    needs.update(_PARTS[part] for part in _parts(request.get("messages", ())) if part in _PARTS)
    if request.get("tools"):
        needs.add("tools")
    form = request.get("response_format")
    kind = form.get("type") if isinstance(form, dict) else form
    if form is not None and kind != "text":
        needs.add("json_mode" if kind == "json_object" else "json_schema")
    return frozenset(needs)


def _parts(messages: Iterable[Any]) -> Iterator[str]:
    """Yield the types of all parts of messages whose content is a list."""
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, dict) else None
            if isinstance(kind, str):
                yield kind


def obstacle(context: Context, offer: ModelOnDay, prepared: Prepared, estimate: Estimate, needs: Iterable[str]) -> str:
    """Return why the model, which may serve on this day, cannot serve this request, or an empty text."""
    return (
        _lacks(offer, needs)
        or _too_long(offer, prepared, estimate)
        or _too_dear(context.request.get("cost_budget"), estimate)
        or _too_slow(context.request.get("latency_budget_ms"), offer)
    )


def _lacks(offer: ModelOnDay, needs: Iterable[str]) -> str:
    known = offer.model.capabilities
    for need in sorted(needs):
        if known is None:
            return f"the request needs `{need}`, and the catalogue does not say what the model can do"
        if need not in known:
            return f"the request needs `{need}`, which the model does not have"
    return ""


def _too_long(offer: ModelOnDay, prepared: Prepared, estimate: Estimate) -> str:
    limit, window = offer.model.max_output_tokens, offer.model.context_window
    if limit is not None and prepared.output_tokens > limit:
        return f"{prepared.output_tokens} output tokens are asked for, the model writes at most {limit}"
    if window is not None and estimate.prompt_tokens + prepared.output_tokens > window:
        asked = f"{estimate.prompt_tokens} prompt and {prepared.output_tokens} output tokens"
        return f"{asked} do not fit the context window of {window}"
    return ""


def _too_dear(budget: Any, estimate: Estimate) -> str:
    if budget is None:
        return ""
    if estimate.cost is None:
        return "it has no price, so the request's cost budget cannot be kept"
    if estimate.cost > usd(budget):
        return f"it may cost {format_usd(estimate.cost)}, the request's cost budget is {format_usd(usd(budget))}"
    return ""


def _too_slow(budget: Any, offer: ModelOnDay) -> str:
    if budget is None:
        return ""
    latency = offer.model.latency_p50_ms
    if latency is None:
        return "its latency is not known, so the request's latency budget cannot be kept"
    if latency > budget:
        return f"its median latency is {latency:g} ms, the request's latency budget is {budget:g} ms"
    return ""
