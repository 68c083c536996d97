"""Step 2, access: every rule is asked and a deny that holds wins; the policy set says what holds otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from costlens_policy.engine.context import Context, Refusal

__all__ = ["Access", "decide_access"]


@dataclass(frozen=True, slots=True)
class Access:
    """``rule`` is the first rule that denied or, where none did, the first that allowed, or ``default``.

    ``grounds`` are the denies or the allow that decided, each with its reason.
    """

    allowed: bool
    rule: str
    grounds: tuple[tuple[str, str], ...]

    @property
    def reasons(self) -> tuple[str, ...]:
        """The grounds as texts for people."""
        if self.grounds:
            verb = "allowed" if self.allowed else "denied"
            return tuple(f"access: {verb} by `{rule}`: {reason}" for rule, reason in self.grounds)
        if self.allowed:
            return ("access: allowed by default",)
        return ("access: denied by default, no access rule allows the request",)


_ALLOWED: Final = Access(True, "default", ())
_DENIED: Final = Access(False, "default", ())


def decide_access(context: Context) -> Access:
    """Ask every access rule of every layer; collect every deny."""
    plan = context.plan
    if not plan.stages.access:
        return _ALLOWED if plan.defaults.allows else _DENIED
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
        return Access(True, allows[0][0], (allows[0],))
    return _ALLOWED if plan.defaults.allows else _DENIED
