"""The cases that are missing: few requests that together cover what no case covers, as a suite."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from costlens_policy.frozen import frozen
from costlens_policy.testing.coverage.aims import Aim, Decides
from costlens_policy.testing.coverage.conditions import Condition
from costlens_policy.testing.coverage.items import Coverage
from costlens_policy.testing.observation import observe
from costlens_policy.testing.policy_sets import SetUnderTest
from costlens_policy.testing.written import WrittenCase, written_suite

if TYPE_CHECKING:
    from costlens_policy.assurance import Witness

__all__ = ["SuggestedCase", "SuggestedSuite", "suggest"]

_MOST_COMMENTS: Final = 12


@frozen
class SuggestedCase:
    """A request, the names of the items that it helps to cover, and the expectations that hold of it today."""

    name: str
    witness: Witness
    covers: tuple[str, ...]
    expect: Mapping[str, Any]

    def written(self) -> WrittenCase:
        """Return the case as it is written, with what it covers above it."""
        shown = [f"covers {name}" for name in self.covers[:_MOST_COMMENTS]]
        if len(self.covers) > _MOST_COMMENTS:
            shown.append(f"and {len(self.covers) - _MOST_COMMENTS} more")
        now = self.witness.now if self.witness.names_time else None
        return WrittenCase(self.name, self.witness.request, self.expect, self.witness.balances, now, tuple(shown))


@frozen
class SuggestedSuite:
    """The cases that are missing for one policy set, by its name and file, and the time at which they are decided."""

    policy_set: str
    file: str
    now: datetime
    cases: tuple[SuggestedCase, ...]

    def written(self, folder: Path) -> str:
        """Return the suite as a document of a file in a folder."""
        policy_set = Path(os.path.relpath(self.file, folder)).as_posix()
        return written_suite(
            f"missing-{self.policy_set}", policy_set, self.now, [case.written() for case in self.cases]
        )


def suggest(
    coverage: Coverage, tested: SetUnderTest, conditions: Sequence[Condition], now: datetime
) -> SuggestedSuite | None:
    """Return cases for all items that were found to be coverable, None where there are none.

    Of all witnesses, the one that shows most of what is missing is taken first, until nothing is.
    """
    names: dict[Aim, list[str]] = {}
    witnesses: dict[Aim, Witness] = {}
    for item in coverage.items:
        if item.witnesses:
            for aim, witness in zip(item.missing[0], item.witnesses, strict=True):
                names.setdefault(aim, []).append(f"{item.measure}: {item.name}{_as(aim)}")
                witnesses[aim] = witness
    if not witnesses:
        return None
    chosen = _fewest(witnesses, tested, conditions)
    cases = tuple(
        SuggestedCase(
            aims[0].title, witness, tuple(name for aim in aims for name in names[aim]), _expect(witness, tested)
        )
        for witness, aims in chosen
    )
    return SuggestedSuite(coverage.policy_set, coverage.file, now, cases)


def _fewest(
    witnesses: Mapping[Aim, Witness], tested: SetUnderTest, conditions: Sequence[Condition]
) -> Iterator[tuple[Witness, list[Aim]]]:
    """Yield witnesses with the aims that they are the first to show."""
    from costlens_policy.testing.coverage.reaching import shown_by

    alike = {str(witness): witness for witness in witnesses.values()}
    shown = [(witness, shown_by(witness, witnesses, tested, conditions)) for witness in alike.values()]
    left = set(witnesses)
    while left:
        witness, aims = max(shown, key=lambda pair: len(pair[1] & left))
        yield witness, [aim for aim in witnesses if aim in aims and aim in left]
        left -= aims


def _as(aim: Aim) -> str:
    return f" as {aim.value.value}" if isinstance(aim, Decides) else ""


def _expect(witness: Witness, tested: SetUnderTest) -> dict[str, Any]:
    """Return what a reader would want to know of a decision; parts of it that are empty are left out."""
    decision, known = witness.decision, tested.known
    observation = observe(decision, known)
    expect: dict[str, Any] = {"effect": decision.effect, "rule": decision.rule}
    if decision.model is not None:
        expect["model"] = decision.model
    more: dict[str, Sequence[str]] = {
        "fallbacks": decision.fallbacks,
        "shares": decision.shares,
        "ways_out": [item.way for item in decision.ways_out],
        "rewrites": decision.rewrites,
        "alerts": list(dict.fromkeys(item.budget for item in decision.alerts)),
        "overflowed": list(dict.fromkeys(item.seen.budget for item in decision.overflowed)),
        "thresholds": [name for place, name in known.thresholds.items() if place in observation.thresholds],
        "errors": [item.code for item in decision.errors],
    }
    return expect | {name: list(value) for name, value in more.items() if value}
