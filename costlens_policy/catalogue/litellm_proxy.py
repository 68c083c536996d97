"""The configuration of a LiteLLM proxy: does every model that a request can reach have a price.

Reached are the deployments of ``model_list``, by name, through aliases, or as fallbacks. A deployment has a price of
its own (``input_cost_per_token`` in ``litellm_params`` or ``model_info``), that of its ``base_model``, or that of its
model. Source: LiteLLM documentation, "Proxy config.yaml", "Fallbacks" and "Custom pricing".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date
from typing import Final, TypeAlias

from costlens_policy.catalogue.catalogue import Model
from costlens_policy.catalogue.service_tiers import SERVICE_TIER, possible_rates
from costlens_policy.catalogue.versions import matches
from costlens_policy.diagnostics.model import Diagnostic, Severity
from costlens_policy.diagnostics.suggestion import did_you_mean
from costlens_policy.frozen import frozen
from costlens_policy.source.located import LocatedDocument, LocatedValue, Path

__all__ = ["examine_proxy"]

Find: TypeAlias = Callable[[str], Model | None]
_UNPRICED: Final = "CL409"
_UNPRICED_TIER: Final = "CL455"
_UNKNOWN: Final = "CL208"
_OWN_PRICE: Final = re.compile(r"(?:input|output)_cost_per_[a-z_0-9]+|tiered_pricing")
_FALLBACKS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_SECTIONS: Final = ("router_settings", "litellm_settings")


@frozen
class _Deployment:
    """An item of ``model_list``. ``name`` is what callers ask for, ``model`` what LiteLLM asks the provider for."""

    at: int
    name: str
    model: str
    base: str
    tier: str
    has_own_price: bool

    @property
    def path(self) -> Path:
        return ("model_list", self.at)


def examine_proxy(document: LocatedDocument, find: Find, day: date) -> tuple[Diagnostic, ...]:
    """Return what has no price on a day (UTC), or is a name that no deployment has. ``find`` gives priced models."""
    root = document.root
    if not tuple(_items(root, ("model_list",))):
        place = root.span_of(("model_list",))
        message = "`model_list` must list at least one deployment"
        return (Diagnostic(_UNKNOWN, Severity.ERROR, message, place, "nothing is served", ""),)
    deployments = tuple(_deployments(root))
    found = [problem for each in deployments for problem in _prices(root, each, find, day)]
    return (*found, *_names(root, deployments))


def _items(root: LocatedValue, path: Path) -> Iterator[LocatedValue]:
    value = root.find(path)
    yield from () if value is None else value.items()


def _text(root: LocatedValue, path: Path) -> str:
    value = root.find(path)
    plain = None if value is None else value.to_plain()
    return plain if isinstance(plain, str) else ""


def _deployments(root: LocatedValue) -> Iterator[_Deployment]:
    for at, item in enumerate(_items(root, ("model_list",))):
        sections = [item.find((section,)) for section in ("litellm_params", "model_info")]
        keys = [entry.key for section in sections if section is not None for entry in section.entries()]
        yield _Deployment(
            at,
            _text(item, ("model_name",)),
            _text(item, ("litellm_params", "model")),
            _text(item, ("model_info", "base_model")) or _text(item, ("litellm_params", "base_model")),
            _text(item, ("litellm_params", SERVICE_TIER)),
            any(_OWN_PRICE.fullmatch(key) for key in keys),
        )


def _prices(root: LocatedValue, deployment: _Deployment, find: Find, day: date) -> Iterator[Diagnostic]:
    """Yield what is wrong with the price of a deployment."""
    at = (*deployment.path, "litellm_params", "model")
    span = root.span_of(at)
    if not deployment.model:
        yield Diagnostic(_UNPRICED, Severity.ERROR, "a deployment must name its `model`", span, "unpriced", "")
        return
    if deployment.has_own_price:
        return
    if "*" in deployment.model or "*" in deployment.name:
        message = f"`{deployment.model}` serves any model, also one without a price"
        advice = "list the models that may be asked for, or give the deployment `input_cost_per_token`"
        yield Diagnostic(_UNPRICED, Severity.WARNING, message, span, "cannot be proved", advice)
        return
    model = find(deployment.base or deployment.model)
    period = None if model is None else model.period_on(day)
    if model is not None and period is None:
        message = f"`{model.name}` has no price of both input and output tokens in these prices"
        advice = "a budget in US dollars cannot count it; add its prices to a catalogue"
        yield Diagnostic(_UNPRICED, Severity.WARNING, message, span, f"reached as `{deployment.name}`", advice)
    elif period is None:
        message = f"`{deployment.base or deployment.model}` has no price, so no budget in US dollars can count it"
        advice = (
            "set `base_model` in `model_info` to the model behind it, or `input_cost_per_token` and "
            "`output_cost_per_token` in `litellm_params`"
        )
        yield Diagnostic(_UNPRICED, Severity.ERROR, message, span, f"reached as `{deployment.name}`", advice)
    elif deployment.tier and not possible_rates(period, 1, deployment.tier):
        tier = root.span_of((*deployment.path, "litellm_params", SERVICE_TIER))
        message = f"`{deployment.model}` has no price at the service tier `{deployment.tier}`"
        advice = "add the prices of the tier to a catalogue as `service_tiers`"
        yield Diagnostic(_UNPRICED_TIER, Severity.WARNING, message, tier, "unpriced at this tier", advice)


def _names(root: LocatedValue, deployments: tuple[_Deployment, ...]) -> Iterator[Diagnostic]:
    """Yield fallbacks and aliases that no deployment stands behind."""
    names = {each.name for each in deployments}
    aliases = {path[-1] for path in _keys(root, ("router_settings", "model_group_alias"))}
    for path in _reached(root):
        name = _text(root, path)
        if not name or name in names or name in aliases or any(matches(known, name) for known in names):
            continue
        message = f"no deployment of `model_list` has the name `{name}`, so it has no price"
        advice = did_you_mean(name, names)
        yield Diagnostic(_UNKNOWN, Severity.ERROR, message, root.span_of(path), "unknown name", advice)


def _keys(root: LocatedValue, path: Path) -> Iterator[Path]:
    value = root.find(path)
    for entry in () if value is None else value.entries():
        yield (*path, entry.key)


def _reached(root: LocatedValue) -> Iterator[Path]:
    """Yield the paths of all names that fallbacks and aliases lead to."""
    for section in _SECTIONS:
        for kind in _FALLBACKS:
            for at, _ in enumerate(_items(root, (section, kind))):
                for path in _keys(root, (section, kind, at)):
                    yield from ((*path, number) for number, _ in enumerate(_items(root, path)))
        path = (section, "default_fallbacks")
        yield from ((*path, number) for number, _ in enumerate(_items(root, path)))
    for path in _keys(root, ("router_settings", "model_group_alias")):
        value = root.find(path)
        yield (*path, "model") if value is not None and value.kind == "mapping" else path
