"""CL450: a number that looks like another unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from math import inf
from typing import Final, TypeAlias

from costlens_policy.assurance.subject import Subject
from costlens_policy.checker.bundle import all_targets_of
from costlens_policy.checker.checks.subject import Finding, Place, operations_of
from costlens_policy.checker.reads import nodes_of
from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.documents.budget import Budget, CallWindow, FirstUseWindow, FixedWindow, RollingWindow
from costlens_policy.documents.catalogue import CatalogueModel
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.rewrites import Operation
from costlens_policy.expressions import Node, TypedExpr, Value
from costlens_policy.expressions.tree import Call, Literal, Select
from costlens_policy.units import base_of

__all__ = ["find_unit_slips"]

_FOUND: Final = Finding("CL450")
_COMPARED: Final = frozenset({"_<_", "_<=_", "_>_", "_>=_", "_==_"})
_MIRRORED: Final = {"_<_": "_>_", "_<=_": "_>=_", "_>_": "_<_", "_>=_": "_<=_"}
_THOUSANDS: Final = frozenset({16, 32, 64, 128, 256})
"""Sizes of context windows, in thousands of tokens."""
_PERCENT: Final = frozenset({50, 60, 70, 75, 80, 85, 90, 95})
_CACHED: Final = ("cached_input", "cache_read", "cache_write", "cache_write_1h")
_FEW_TOKENS: Final = 8
_SMALLEST_PROMPT: Final = 128
_LOWEST_RATIO: Final = 0.02
_LOWEST_QUALITY: Final = 0.05
_BRAKE: Final = 20
"""How many US dollars a minute somebody may mean who wants to stop a loop."""
_MANY: Final = 10
"""How many times what any model takes a limit may be, before it looks like another unit."""

_Slip: TypeAlias = tuple[str, Place]


def find_unit_slips(subject: Subject) -> Iterator[Diagnostic]:
    """Warn of numbers that only make sense in another unit."""
    for message, place in _written(subject):
        yield _FOUND.warning(message, place.span, "is this the unit?", "convert it")
    for document in subject.documents.documents():
        for path, typed in subject.bundle.expressions[document].items():
            for message, node in _slips(typed):
                place = Place(document, path)
                yield _FOUND.warning(message, place.part(node.extent), "is this the unit?", "convert it")


def _written(subject: Subject) -> Iterator[_Slip]:
    for catalogue in subject.bundle.linked.catalogues:
        for name, model in catalogue.document.models.items():
            for message, steps in _facts(name, model):
                yield message, Place(catalogue, ("models", name, *steps))
    for policy in subject.policies:
        for index, budget in enumerate(policy.document.budgets):
            yield from _budget(budget, Place(policy, ("budgets", index)))
            yield from _discounted(budget, Place(policy, ("budgets", index)))
            limit, place = budget.hard_limit_usd, Place(policy, ("budgets", index, "hard_limit_usd"))
            if isinstance(budget.window, CallWindow) and isinstance(limit, Decimal) and limit > _dearest_call(subject):
                yield f"`hard_limit_usd` is in US dollars, and no single call costs {limit}", place
    for operation, place in operations_of(subject.documents):
        yield from _operation(operation, place)
    yield from _choices(subject)
    default = subject.plan.defaults.max_output_tokens
    if 1 < default < _FEW_TOKENS:
        place = Place(subject.bundle.linked.policy_set, ("defaults", "max_output_tokens"))
        yield f"`max_output_tokens` counts single tokens, and {default} is very little", place


def _facts(name: str, model: CatalogueModel) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the facts of a model that make sense in another unit only, and where they stand in its entry."""
    if model.latency_ms is not None and 0 < model.latency_ms.p50 < 20:
        message = f"the latency of `{name}` is in milliseconds, and {model.latency_ms.p50} is very little"
        yield message, ("latency_ms", "p50")
    for key, size in (("context_window", model.context_window), ("max_output_tokens", model.max_output_tokens)):
        if size is not None and size < 256:
            yield f"`{key}` of `{name}` counts single tokens, and {size} is very little", (key,)


def _discounted(budget: Budget, place: Place) -> Iterator[_Slip]:
    """Warn of a lower weight for a part of the input where the rest of it counts nothing."""
    weights = budget.count or {}
    for kind, weight in weights.items():
        if kind in _CACHED and weight < 1 and "input" not in weights:
            yield (
                f"`{kind}` has a weight of {weight}, and `input`, of which it is a part, counts nothing",
                place.at("count", kind),
            )


def _budget(budget: Budget, place: Place) -> Iterator[_Slip]:
    unit = base_of(budget.unit)
    hard, soft = getattr(budget, f"hard_limit_{unit}"), getattr(budget, f"soft_limit_{unit}")
    if soft is not None and not isinstance(hard, str) and hard is not None and unit not in ("requests", "runs"):
        at = place.at(f"soft_limit_{unit}")
        if 0 < soft <= 1 and hard >= 10:
            yield f"`soft_limit_{unit}` is an amount, and {soft} looks like a ratio of the hard limit", at
        elif soft in _PERCENT and hard >= 10 * soft:
            yield f"`soft_limit_{unit}` is an amount, and {soft} looks like a percentage of the hard limit", at
    for step, threshold in enumerate(budget.thresholds):
        ratio = threshold.at_ratio
        if ratio is not None and 0 < ratio < _LOWEST_RATIO:
            at = place.at("thresholds", step, "at_ratio")
            yield f"`at_ratio` is a ratio of the limit, and {ratio} is reached nearly at once", at
    window = budget.window
    if isinstance(window, FixedWindow):
        if timedelta(0) < window.ends_at - window.starts_at < timedelta(minutes=5):
            yield f"the window of `{budget.id}` is shorter than five minutes", place.at("window", "ends_at")
    elif isinstance(window, RollingWindow | FirstUseWindow) and unit == "usd":
        key = "rolling" if isinstance(window, RollingWindow) else "from_first_use"
        if _is_for_a_month(length := getattr(window, key), hard):
            yield f"the window of `{budget.id}` is {length} long, and counts money", place.at("window", key)


def _is_for_a_month(rolling: str, limit: object) -> bool:
    """Say whether an amount is too much for a window as short as this; a few dollars a minute stop a loop."""
    length = duration_of(rolling)
    is_brake = length == timedelta(minutes=1) and not rolling.endswith("s")
    return length <= timedelta(minutes=1) and not (is_brake and isinstance(limit, Decimal) and limit <= _BRAKE)


def _operation(operation: Operation, place: Place) -> Iterator[_Slip]:
    if operation.trim_history is not None and operation.trim_history.max_prompt_tokens < _SMALLEST_PROMPT:
        tokens = operation.trim_history.max_prompt_tokens
        message = f"`max_prompt_tokens` counts single tokens, and {tokens} is very little"
        yield message, place.at("trim_history", "max_prompt_tokens")
    for name, clamp in (operation.clamp_params.root if operation.clamp_params is not None else {}).items():
        most = clamp.max
        if canonical_parameter(name) == "max_output_tokens" and most is not None and 1 < most < _FEW_TOKENS:
            message = f"`{name}` counts single tokens, and {most} is very little"
            yield message, place.at("clamp_params", name, "max")


def _choices(subject: Subject) -> Iterator[_Slip]:
    """Yield the limits of choices that no model comes near."""
    slowest = max((_fact(view, "latency_p50_ms") for view in subject.domain.models.values()), default=0)
    dearest = _dearest_call(subject)
    for document in subject.documents.documents():
        for path, target in all_targets_of(document.document):
            if target.choose is None:
                continue
            limits, place = target.choose.limits, Place(document, (*path, "choose", "limits"))
            if limits.min_quality is not None and 0 < limits.min_quality < _LOWEST_QUALITY:
                message = f"`min_quality` is a ratio, and every model is above {limits.min_quality}"
                yield message, place.at("min_quality")
            if limits.max_latency_ms is not None and slowest and limits.max_latency_ms > _MANY * slowest:
                message = f"`max_latency_ms` is in milliseconds, and no model comes near {limits.max_latency_ms}"
                yield message, place.at("max_latency_ms")
            if limits.max_cost_usd is not None and limits.max_cost_usd > dearest:
                message = f"`max_cost_usd` is in US dollars, and no call costs {limits.max_cost_usd}"
                yield message, place.at("max_cost_usd")


def _dearest_call(subject: Subject) -> float:
    """Return what no call costs by far: every window and every output filled, at some multiple of the usual price."""
    most = 0.0
    for view in subject.domain.models.values():
        window, output = _fact(view, "context_window"), _fact(view, "max_output_tokens")
        if not window or not output:
            return inf
        prices = _fact(view, "input_usd_per_million_tokens"), _fact(view, "output_usd_per_million_tokens")
        most = max(most, (window * prices[0] + output * prices[1]) / 1e6)
    return _MANY * most if most else inf


def _fact(view: Mapping[str, Value], name: str) -> float:
    value = view.get(name)
    return value if isinstance(value, int | float) else 0


def _slips(typed: TypedExpr) -> Iterator[tuple[str, Node]]:
    for node in nodes_of(typed.root):
        if isinstance(node, Call) and node.function == "duration":
            length = node.arguments[0]
            if isinstance(length, Literal) and str(length.value).endswith("ms"):
                yield f"a duration of {length.value} is very short", node
        if not isinstance(node, Call) or node.function not in _COMPARED:
            continue
        left, right = node.arguments
        for subject, literal in ((left, right), (right, left)):
            name = _field(subject)
            if name and isinstance(literal, Literal) and isinstance(literal.value, int | float):
                function = node.function if subject is left else _MIRRORED.get(node.function, node.function)
                message = _slip(name, function, float(literal.value))
                if message:
                    yield message, literal


def _slip(name: str, function: str, value: float) -> str:
    if name.endswith("_ms") and 0 < value < 20:
        return f"`{name}` is in milliseconds, and {value:g} is very little"
    if name.endswith("_ratio") and 2 < value <= 100:
        return f"`{name}` is a ratio, where 1 stands for the whole, and {value:g} looks like percent"
    if name == "used_ratio" and 1 < value <= 2:
        return f"`{name}` is a ratio, where 1 stands for the whole, and calls beyond it are refused"
    if name.endswith("_usd_per_million_tokens") and 0 < value < 0.01:
        return f"`{name}` is in US dollars per million tokens, and {value:g} looks like a price per thousand"
    if name.endswith("_usd_per_million_tokens") and value > 1000:
        return f"`{name}` is in US dollars per million tokens, and no model costs {value:g}"
    if name in ("prompt_tokens", "max_output_tokens") and value >= 50_000_000:
        return f"`{name}` counts tokens, and no model takes {value:,.0f}"
    if name == "prompt_tokens" and value in _THOUSANDS and function not in ("_<_", "_<=_"):
        return f"`{name}` counts single tokens, and {value:g} looks like thousands"
    if name == "context_window" and 0 < value < 1000:
        return f"`{name}` counts single tokens, and {value:g} looks like thousands"
    return ""


def _field(node: Node) -> str:
    if isinstance(node, Call) and node.function == "orValue" and node.target is not None:
        return _field(node.target)
    return node.field if isinstance(node, Select) else ""
