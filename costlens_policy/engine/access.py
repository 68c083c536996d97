"""Step 2, access: every rule is asked and a deny that holds wins; the policy set says what holds otherwise.

A rule that reads ``model`` is asked later, for every candidate, and refuses that candidate alone.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from costlens_policy.compiler.formula import Formula
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.priced_models import PricedModel
from costlens_policy.compiler.rules import AccessStep
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.engine.context import Context, Refusal
from costlens_policy.engine.facts import Exclusion
from costlens_policy.expressions.runtime import CelError
from costlens_policy.frozen import frozen

__all__ = ["ADMITTED", "DENIED_BY_DEFAULT", "Access", "decide_access", "refused_model"]

DENIED_BY_DEFAULT: Final = "access: denied by default, no access rule allows the model"
"""Why a model is refused that no rule allows."""


@frozen
class Access:
    """``rule`` is the first rule that denied or, where none did, the first that allowed, or ``default``.

    ``grounds`` are the denies or the allow that decided, each with its reason. ``by_model`` says that no rule has
    allowed the request yet, the default is to deny, and rules about models may allow it for some of them.
    """

    allowed: bool
    rule: str
    grounds: tuple[tuple[str, str], ...]
    by_model: bool = False

    @property
    def reasons(self) -> tuple[str, ...]:
        """The grounds as texts for people."""
        if self.grounds:
            verb = "allowed" if self.allowed else "denied"
            return tuple(f"access: {verb} by `{rule}`: {reason}" for rule, reason in self.grounds)
        if self.by_model:
            return ("access: allowed for models that an access rule allows",)
        if self.allowed:
            return ("access: allowed by default",)
        return ("access: denied by default, no access rule allows the request",)


ADMITTED: Final = Access(True, "default", ())
_DENIED: Final = Access(False, "default", ())
_BY_MODEL: Final = Access(True, "default", (), by_model=True)


def decide_access(context: Context) -> Access:
    """Ask every access rule of every layer that does not speak of models; collect every deny."""
    plan = context.plan
    if not plan.stages.access:
        return _by_default(plan)
    allows: list[tuple[str, str]] = []
    denies: list[tuple[str, str]] = []
    for layer, step in plan.stages.access:
        try:
            if step.when is None or context.holds(step.when, layer, step.id, "access"):
                (denies if step.denies else allows).append((step.id, step.reason))
        except Refusal as refusal:
            denies.append((step.id, refusal.reason.removeprefix("access: ")))
    if denies:
        return Access(False, denies[0][0], tuple(denies))
    if allows:
        return _allowed_by(*allows[0])
    return _by_default(plan)


@lru_cache(256)
def _allowed_by(rule: str, reason: str) -> Access:
    """Return what most requests come to, and the same few rules bring about."""
    return Access(True, rule, ((rule, reason),))


def _by_default(plan: Plan) -> Access:
    if plan.defaults.allows:
        return ADMITTED
    return _BY_MODEL if plan.stages.allows_by_model else _DENIED


def refused_model(context: Context, access: Access, priced: PricedModel) -> Exclusion | None:
    """Ask the access rules about a model, wherever it came from. The first that refuses it is the reason."""
    name = priced.model.name
    allowed = not access.by_model
    for layer, step in context.plan.stages.access_by_model:
        try:
            holds = context.holds(step.when, layer, step.id, "access", priced.view)
        except Refusal as refusal:
            return Exclusion(name, refusal.reason, step.id)
        if not holds:
            continue
        if not step.denies:
            allowed = True
        elif step.only is not None:
            if (unmet := _unmet(context, layer, step, step.only, priced)) is not None:
                return Exclusion(name, f"access: {unmet}", step.id)
        elif priced.model.name not in step.only_models:
            return Exclusion(name, f"access: {_refusal(step)}", step.id)
    return None if allowed else Exclusion(name, DENIED_BY_DEFAULT)


def _unmet(context: Context, layer: int, step: AccessStep, only: Formula, priced: PricedModel) -> str | None:
    """Return why a model does not meet a rule that holds, None where it does; one of which that fails does not."""
    failed = ""
    try:
        if context.evaluate(only, layer, priced.view):
            return None
    except CelError as error:
        context.note(only, step.id, "access", error)
        failed = f", which failed ({error})"
    return f"`{step.id}` admits only models with `{only.source}`{failed}: {step.reason}"


def _refusal(step: AccessStep) -> str:
    if step.only_models:
        return f"`{step.id}` admits only {listed(step.only_models)}: {step.reason}"
    return f"denied by `{step.id}`: {step.reason}"
