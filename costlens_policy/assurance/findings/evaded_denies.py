"""CL430: a deny that a caller gets round by leaving an attribute out, or by choosing its value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from costlens_policy.assurance.domain import Found, Some
from costlens_policy.assurance.evasion import evasions
from costlens_policy.assurance.subject import Rule, Subject, shown
from costlens_policy.checker.checks.subject import Finding
from costlens_policy.diagnostics.model import Diagnostic

__all__ = ["find_evaded_denies"]

_FOUND: Final = Finding("CL430")


def find_evaded_denies(subject: Subject) -> Iterator[Diagnostic]:
    """Report each way round a deny. Both requests were decided by the engine."""
    for rule in subject.denies:
        if rule.when is None:
            continue
        others = Some([other.goal for other in subject.denies if other is not rule])
        for way in evasions(subject, rule.goal, others):
            held, free = subject.situated(way.held), subject.situated(way.free)
            if held is None or free is None or held.decision.rule != rule.id or free.decision.effect != "allow":
                continue
            seen = shown(subject.request(way.held)), shown(subject.request(way.free))
            how = f"leaving out `{way.name}`" if way.omitted else f"setting another `{way.name}`"
            yield _FOUND.mistake(
                f"callers can evade `{rule.id}` by {how}: it denies `{seen[0]}` but not `{seen[1]}`",
                rule.span,
                "does not hold for that request",
                f"also deny requests without `{way.name}`, or {way.cure}"
                if way.omitted
                else f"use an attribute that your service sets instead of `{way.name}`",
                witnesses=[held.shown, free.shown],
            )
        yield from _other_shape(subject, rule)


def _other_shape(subject: Subject, rule: Rule) -> Iterator[Diagnostic]:
    """Report a deny that looks at a prompt, and lets the same text through as a message."""
    found, use = subject.find(rule.goal), subject.domain.uses.by_read.get(("request", "prompt"))
    if not isinstance(found, Found) or use is None or not (use.parts or use.patterns):
        return
    given = subject.situation(found.values)
    prompt = given.request.get("prompt")
    if not prompt:
        return
    others = {name: value for name, value in given.request.items() if name != "prompt"}
    request = {**others, "messages": [{"role": "user", "content": prompt}]}
    held, free = subject.decided(given), subject.decided(replace(given, request=request))
    if held is not None and free is not None and held.decision.rule == rule.id and free.decision.effect == "allow":
        yield _FOUND.warning(
            f"callers can evade `{rule.id}` by sending `messages` instead of `prompt`",
            rule.span,
            "looks at `prompt` only",
            "look at `messages`, too",
            witnesses=[held.shown, free.shown],
        )
