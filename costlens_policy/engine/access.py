"""Step 2, access: every rule is asked and a deny that holds wins; the policy set says what holds otherwise."""

from __future__ import annotations

from dataclasses import dataclass

from costlens_policy.engine.context import Context, Refusal

__all__ = ["Access", "decide_access"]


@dataclass(frozen=True, slots=True)
class Access:
    """``rule`` is the first rule that denied or, where none did, the first that allowed, or ``default``."""

    allowed: bool
    rule: str
    reasons: tuple[str, ...]


def decide_access(context: Context) -> Access:
    """Ask every access rule of every layer; collect every deny."""
    allows: list[tuple[str, str]] = []
    denies: list[tuple[str, str]] = []
    for index, layer in enumerate(context.plan.layers):
        for step in layer.access:
            try:
                if context.holds(step.when, index, step.id, "access"):
                    (denies if step.denies else allows).append((step.id, step.reason))
            except Refusal as refusal:
                denies.append((step.id, refusal.reason.removeprefix("access: ")))
    if denies:
        return Access(False, denies[0][0], tuple(f"access: denied by `{rule}`: {reason}" for rule, reason in denies))
    if allows:
        rule, reason = allows[0]
        return Access(True, rule, (f"access: allowed by `{rule}`: {reason}",))
    if context.plan.defaults.allows:
        return Access(True, "default", ("access: allowed by default",))
    return Access(False, "default", ("access: denied by default, no access rule allows the request",))
