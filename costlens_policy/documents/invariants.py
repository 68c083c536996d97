"""Invariants: what a policy set promises, whatever is asked, by whom, when, and however its budgets stand."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from costlens_policy.documents.document import (
    Document,
    Expression,
    FilePath,
    Identifier,
    IsExpression,
    RuleReference,
    Section,
    Usd,
)

__all__ = ["Invariant", "InvariantsDocument"]

_READ = ("request", "variables", "budgets", "model", "now")
_Rules = Annotated[tuple[RuleReference, ...], Field(min_length=1)]


class Invariant(Section):
    """One promise about every request for which ``when`` holds: exactly one of ``always``, ``never``, ``effect``,
    ``routed_by``, ``rewritten_by`` and ``max_cost_usd``.

    All but ``effect`` and ``routed_by`` speak of the model that serves and of each fallback: a refusal breaks none of
    them.
    """

    exactly_one: ClassVar = ("always", "never", "effect", "routed_by", "rewritten_by", "max_cost_usd")

    id: Identifier
    """Name of the invariant, unique within the document."""
    title: Annotated[str, Field(min_length=1, examples=["data of people in the EU stays in the EU"])]
    """The promise, in words that its readers use."""
    when: (
        Annotated[Expression, IsExpression("bool", *_READ, "estimate"), Field(examples=['request.region == "eu"'])]
        | None
    ) = None
    """Which requests it is about; absent means all, and one for which it fails is not among them. A condition that
    reads ``model`` picks models that serve, too. ``estimate`` is that of the call; where the claim is about requests,
    ``effect`` or ``routed_by``, that of the call on the model which the route of the request asks first."""
    always: Annotated[Expression, IsExpression("bool", *_READ), Field(examples=['"eu" in model.regions'])] | None = None
    """What is true of every model that serves, or that is a fallback. A fact that the catalogue lacks breaks it."""
    never: (
        Annotated[
            Expression, IsExpression("bool", *_READ), Field(examples=["model.output_usd_per_million_tokens > 10.0"])
        ]
        | None
    ) = None
    """What is true of no model that serves, or that is a fallback. A fact that the catalogue lacks breaks it."""
    effect: Literal["allow", "deny"] | None = None
    """What is decided about every such request."""
    routed_by: Annotated[_Rules, Field(examples=[["residency/eu-stays-in-eu"]])] | None = None
    """Routes of which one serves every such request that is allowed, as ``policy/route`` or ``default``."""
    rewritten_by: Annotated[_Rules, Field(examples=[["privacy/redact"]])] | None = None
    """Rewrites that are all applied to every such call, as ``policy/rewrite``."""
    max_cost_usd: Annotated[Usd, Field(examples=[0.002])] | None = None
    """Highest estimated cost of every such call."""

    @property
    def claim(self) -> str:
        """The key that says what is promised."""
        return next(key for key in self.exactly_one if getattr(self, key) not in (None, ()))


_EXAMPLE: dict[str, Any] = {
    "id": "eu-stays-in-eu",
    "title": "data of people in the EU stays in the EU",
    "when": 'request.region == "eu"',
    "always": '"eu" in model.regions',
}


class InvariantsDocument(Document):
    """Promises of a policy set, which ``costlens-policy prove`` proves or refutes."""

    kind: Literal["Invariants"]
    """This document holds promises of a policy set."""
    policy_set: Annotated[FilePath, Field(examples=["policy-set.yaml"])]
    """The policy set that makes them, relative to this file."""
    invariants: Annotated[tuple[Invariant, ...], Field(min_length=1, examples=[[_EXAMPLE]])]
    """The promises. Each is proved by itself."""
