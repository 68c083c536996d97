"""The reader of traffic asks a policy set for its attributes and its tokenizer. This one decides nothing."""

from __future__ import annotations

from typing import Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.compiler.attributes import RequestAttribute
from costlens_policy.compiler.plan import Plan, PlanDefaults
from costlens_policy.compiler.rules import ByName, RouteStep
from costlens_policy.compiler.snapshot import Admitted, Snapshots
from costlens_policy.expressions import ANY_LIST, STRING
from costlens_policy.tokens import ESTIMATE

__all__ = ["PLAN"]

_NO_MODELS: Final = Catalogue.of(())
_TEXTS: Final = (RequestAttribute("prompt", STRING), RequestAttribute("messages", ANY_LIST))

PLAN: Final = Plan(
    name="report",
    version="1",
    layers=(),
    defaults=PlanDefaults(False, RouteStep("default", None, ByName(()), "", 0), 1, 0, None),
    attributes={attribute.name: attribute for attribute in _TEXTS},
    required=frozenset(),
    filled_in=(),
    catalogue=_NO_MODELS,
    snapshots=Snapshots(_NO_MODELS, Admitted(False, False, False)),
    tokenizer=ESTIMATE,
    budgets={},
    policy_digest="",
    catalogue_digest="",
    admitted_params=frozenset(),
    verifies_prompt_tokens=False,
    reads=frozenset(),
)
