"""CL401: two rewrites set one target, and nothing says what happens then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from costlens_policy.checker.checks.subject import Finding, Place, Placed, Subject, rewrites
from costlens_policy.diagnostics.model import Diagnostic, Related
from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.documents.parameters import canonical_parameter
from costlens_policy.documents.rewrites import Operation, Rewrite
from costlens_policy.documents.targets import targets

__all__ = ["Setting", "check_rewrite_conflicts", "settings_of"]

_FOUND: Final = Finding("CL401")
_NAMES: Final = {"system": "the system text", "prefix": "the prefix", "suffix": "the suffix", "prompt": "the prompt"}
_PARAMETER: Final = "params."


@dataclass(frozen=True, slots=True)
class Setting:
    """One target of a rewrite: ``target`` as ``documents.targets`` names it, ``how`` the key of the operation."""

    rewrite: Placed[Rewrite]
    target: str
    how: str
    place: Place

    @property
    def merges(self) -> tuple[str, ...]:
        """What can be declared for two rules with this target."""
        return ("min", "max", "set_once") if self.target.startswith(_PARAMETER) else ("append", "set_once")

    @property
    def wipes(self) -> bool:
        """Whether what an earlier rule has done to the target is lost. Bounds and additions build on what is there."""
        if self.how == "system":
            index = self.place.path[-2]
            assert isinstance(index, int)
            system = self.rewrite.rule.apply[index].system
            return system is not None and system.place == "replace"
        return self.how in ("prefix", "suffix", "template", "set_params", "remove_params")

    def __str__(self) -> str:
        name = self.target.removeprefix(_PARAMETER)
        return f"the parameter `{name}`" if name != self.target else _NAMES.get(self.target, self.target)


def check_rewrite_conflicts(subject: Subject) -> Iterator[Diagnostic]:
    """Report the later of two rewrites that can meet at one target without a ``merge`` that fits."""
    earlier: dict[str, list[Setting]] = {}
    for rewrite in rewrites(subject):
        for setting in settings_of(rewrite):
            same = earlier.setdefault(setting.target, [])
            met = next((item for item in same if _conflict(item, setting)), None)
            if met is not None:
                yield _report(met, setting)
            same.append(setting)


def settings_of(rewrite: Placed[Rewrite]) -> Iterator[Setting]:
    """Yield each target of a rewrite once, where it is set first."""
    seen: set[str] = set()
    for index, operation in enumerate(rewrite.rule.apply):
        (how,) = operation.model_fields_set
        for target in targets(operation):
            if target not in seen:
                seen.add(target)
                yield Setting(rewrite, target, how, _place(rewrite.place.at("apply", index, how), operation, target))


def _place(place: Place, operation: Operation, target: str) -> Place:
    """Return where a target is named: of a parameter, its own name in the operation."""
    if not target.startswith(_PARAMETER):
        return place
    parameter = target.removeprefix(_PARAMETER)
    for index, name in enumerate(operation.remove_params or ()):
        if canonical_parameter(name) == parameter:
            return place.at(index)
    names = operation.set_params or operation.clamp_params or {}
    return next(place.at(name) for name in names if canonical_parameter(name) == parameter)


def _conflict(first: Setting, later: Setting) -> bool:
    if not later.wipes or (first.how, later.how) == ("clamp_params", "remove_params"):
        return False
    merge = later.rewrite.rule.merge or first.rewrite.rule.merge
    return merge not in later.merges and not first.rewrite.condition.excludes(later.rewrite.condition)


def _report(first: Setting, later: Setting) -> Diagnostic:
    rule = later.rewrite.rule
    choices = listed((f"merge: {item}" for item in later.merges), "or")
    related = [Related(first.place.name_span, f"`{first.rewrite.name}` sets it here")]
    if rule.merge is not None:
        span = later.rewrite.place.at("merge").span
        message = f"`merge: {rule.merge}` does not fit {later}, which `{first.rewrite.name}` sets, too"
        return _FOUND.error(message, span, "cannot be merged like this", f"use {choices}", related)
    return _FOUND.error(
        f"`{first.rewrite.name}` and `{later.rewrite.name}` both set {later}",
        later.place.name_span,
        "set again here",
        f"say in `{rule.id}` what happens then, with {choices}, or let the conditions exclude each other",
        related,
    )
