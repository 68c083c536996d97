"""Invariants: what a policy set promises, whatever is asked, by whom, when, and however its budgets stand."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from costlens_policy.documents.document import (
    Document,
    Expression,
    FilePath,
    Identifier,
    IsExpression,
    Number,
    ParameterName,
    RuleReference,
    Section,
    Usd,
)
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.rewrites import PersonalData

__all__ = ["Invariant", "InvariantsDocument", "ParameterBounds"]

_READ = ("request", "variables", "budgets", "model", "now")
_Rules = Annotated[tuple[RuleReference, ...], Field(min_length=1)]


class ParameterBounds(Section):
    """What a parameter of a call is, once all rewrites are applied.

    One that is absent is left to the provider: it breaks bounds unless they are ``optional``.
    """

    at_least_one: ClassVar = ("min", "max", "equals", "absent")

    min: Number | None = None
    """Lowest value."""
    max: Annotated[Number, Field(examples=[512])] | None = None
    """Highest value."""
    equals: Annotated[Any, Field(examples=["default"])] = None
    """The value, instead of bounds."""
    optional: bool = False
    """Whether it may be absent as well."""
    absent: bool = False
    """That no call has it. The output limit is in every call."""

    @model_validator(mode="after")
    def _agrees(self) -> ParameterBounds:
        bounds = self.min is not None or self.max is not None
        if bounds + (self.equals is not None) + self.absent > 1 or (self.absent and self.optional):
            raise ValueError("`equals` and `absent` stand alone, without other keys that speak of the value")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"`min` must be at most `max`, got {self.min} and {self.max}")
        return self

    @property
    def allows_absence(self) -> bool:
        return self.optional or self.absent

    def judged(self, value: Any) -> str:
        """Return how a value breaks them: it is ``absent``, ``above``, ``below`` or something ``other``; empty where it
        does not.
        """
        if value is None:
            return "" if self.allows_absence else "absent"
        if self.absent:
            return "other"
        if self.equals is not None:
            return "" if _exact(value) == _exact(self.equals) else "other"
        number = _exact(value)
        if not isinstance(number, Decimal) or number.is_nan():
            return "other"
        above = self.max is not None and number > self.max
        return "above" if above else "below" if self.min is not None and number < self.min else ""


def _exact(value: Any) -> Any:
    """Return a value with numbers as they are written, so that they compare as in JSON: 1 is 1.0, and neither true."""
    if isinstance(value, bool):
        return str(value), value
    if isinstance(value, int | float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {key: _exact(item) for key, item in value.items()}
    return [_exact(item) for item in value] if isinstance(value, list | tuple) else value


class Invariant(Section):
    """One promise about every request for which ``when`` holds: exactly one of ``always``, ``never``, ``effect``,
    ``routed_by``, ``rewritten_by``, ``rewritten_in_order``, ``redacted``, ``system_contains``, ``params`` and
    ``max_cost_usd``.

    All but ``effect`` and ``routed_by`` speak of the model that serves and of each fallback: a refusal breaks none of
    them.
    """

    exactly_one: ClassVar = (
        "always", "never", "effect", "routed_by", "rewritten_by", "rewritten_in_order", "redacted", "system_contains",
        "params", "max_cost_usd",
    )  # fmt: skip

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
    rewritten_in_order: (
        Annotated[tuple[RuleReference, ...], Field(min_length=2, examples=[["privacy/redact", "style/prefix"]])] | None
    ) = None
    """Rewrites of which those that are applied to such a call are applied in this order, as ``policy/rewrite``."""
    redacted: Annotated[tuple[PersonalData, ...], Field(min_length=1, examples=[["email", "phone"]])] | None = None
    """Kinds of personal data that ``redact`` finds in no text of such a call, as it is sent."""
    system_contains: Annotated[str, Field(min_length=1, examples=["Do not give medical advice."])] | None = None
    """Text that is found in the system text of every such call, as it is sent."""
    params: (
        Annotated[
            dict[ParameterName, ParameterBounds],
            Field(min_length=1, examples=[{"max_output_tokens": {"max": 512}, "logprobs": {"absent": True}}]),
        ]
        | None
    ) = None
    """What parameters of such a call are, as it is sent, by their names."""
    max_cost_usd: Annotated[Usd, Field(examples=[0.002])] | None = None
    """Highest estimated cost of every such call."""

    @property
    def parameters(self) -> dict[str, ParameterBounds]:
        """What is promised of parameters, by the names that calls have them under."""
        return {canonical_parameter(name): bounds for name, bounds in (self.params or {}).items()}

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
