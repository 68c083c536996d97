"""What stands in a suite and changes nothing: the author believes that something is tested which is not."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from costlens_policy.diagnostics.model import Related, Severity
from costlens_policy.documents.suite import BalanceInput, SuiteDocument, TextExpectation
from costlens_policy.expressions.runtime import CelError
from costlens_policy.expressions.runtime.regexes import matcher
from costlens_policy.source.located import Path
from costlens_policy.testing.matrix import SingleCase
from costlens_policy.testing.problems import SuiteProblems
from costlens_policy.testing.requests import merged
from costlens_policy.testing.vocabulary import Vocabulary

__all__ = ["report_idle"]

_WARNING: Final = Severity.WARNING
_PLACES: Final = re.compile(r"[\^$]|\\[bBAz]")
"""What makes a pattern that fits the empty text look at where it stands."""


def report_idle(
    document: SuiteDocument, cases: Sequence[SingleCase], known: Vocabulary, problems: SuiteProblems
) -> None:
    """Warn of fixtures, defaults, balances, cases and expectations without which the suite would say the same."""
    idle = _Idle(document, cases, known, problems)
    idle.fixtures()
    idle.defaults()
    idle.balances()
    idle.repeated_cases()
    idle.patterns()


class _Idle:
    def __init__(
        self, document: SuiteDocument, cases: Sequence[SingleCase], known: Vocabulary, problems: SuiteProblems
    ) -> None:
        self._document = document
        self._cases = cases
        self._known = known
        self._problems = problems
        self._by_path: dict[Path, list[SingleCase]] = {}
        for item in cases:
            self._by_path.setdefault(item.path, []).append(item)

    def fixtures(self) -> None:
        used = {name for item in self._cases for name in item.case.fixtures}
        for name in self._document.fixtures:
            if name not in used:
                message, help = f"no case uses the fixture `{name}`", "name it under `fixtures` of a case, or remove it"
                self._problems.report("CL617", message, ("fixtures", name), severity=_WARNING, at_key=True, help=help)
        for path, items in self._by_path.items():
            for index in range(min(len(item.case.fixtures) for item in items)):
                if all(self._is_idle_fixture(item, index) for item in items):
                    name = items[0].case.fixtures[index]
                    message = f"the fixture `{name}` changes nothing here: what follows replaces all of it"
                    help = "put it after what it should replace, or take it out"
                    self._problems.report("CL618", message, (*path, "fixtures", index), severity=_WARNING, help=help)

    def _is_idle_fixture(self, item: SingleCase, index: int) -> bool:
        fixtures = [self._document.fixtures.get(name, {}) for name in item.case.fixtures]
        parts: list[Mapping[str, Any]] = [self._document.defaults.request, *fixtures, item.case.request]
        if merged(parts) != merged([*parts[: index + 1], *parts[index + 2 :]]):
            return False
        return not any(_refines(later, fixtures[index]) for later in fixtures[index + 1 :])

    def defaults(self) -> None:
        request = self._document.defaults.request
        for name in request if self._cases else ():
            less = {key: value for key, value in request.items() if key != name}
            if all(self._request(item, request) == self._request(item, less) for item in self._cases):
                message = f"the default of `{name}` changes nothing: every case replaces it"
                place = ("defaults", "request", name)
                self._problems.report(
                    "CL618", message, place, severity=_WARNING, at_key=True, help="take it out of the defaults"
                )

    def _request(self, item: SingleCase, defaults: Mapping[str, Any]) -> dict[str, Any]:
        fixtures = (self._document.fixtures.get(name, {}) for name in item.case.fixtures)
        return merged([defaults, *fixtures, item.case.request])

    def balances(self) -> None:
        defaults = self._document.defaults.balances
        self._replaced_balances(defaults, ("defaults", "balances"))
        for path, (first, *_) in self._by_path.items():
            self._replaced_balances(first.case.balances, (*path, "balances"))
        given = [set(self._keys(item.case.balances)) for item in self._cases]
        for index, key in enumerate(self._keys(defaults)):
            if given and all(key in keys for keys in given):
                message = "this balance changes nothing: every case gives another for the same budget and key"
                self._problems.report("CL618", message, ("defaults", "balances", index), severity=_WARNING)

    def _replaced_balances(self, entries: Sequence[BalanceInput], path: Path) -> None:
        keys = list(self._keys(entries))
        for index, key in enumerate(keys):
            if key in keys[index + 1 :]:
                message = "this balance changes nothing: a later one is for the same budget and key"
                self._problems.report("CL618", message, (*path, index), severity=_WARNING, help="keep one of the two")

    def _keys(self, entries: Iterable[BalanceInput]) -> Iterator[tuple[str, str]]:
        return ((self._known.budget(entry.budget) or entry.budget, entry.key) for entry in entries)

    def repeated_cases(self) -> None:
        seen: dict[str, SingleCase] = {}
        for item in self._cases:
            case = item.case
            request = self._request(item, self._document.defaults.request)
            asked = json.dumps(request, sort_keys=True, default=repr)
            said = repr((asked, case.now, case.balances, case.targets, case.expect))
            before = seen.setdefault(said, item)
            if before is not item and before.path != item.path:
                name = before.case.name
                related = [Related(self._problems.place((*before.path, "name")), "the first one")]
                message = f"`{case.name}` asks and expects the same as `{name}`"
                help = "change what it asks, or remove it"
                self._problems.report(
                    "CL619", message, (*item.path, "name"), severity=_WARNING, help=help, related=related
                )

    def patterns(self) -> None:
        """A pattern is looked for in the text: one that fits the empty text is found in every one."""
        for path, (first, *_) in self._by_path.items():
            for key in ("prompt", "system"):
                expected = getattr(first.case.expect, key)
                if isinstance(expected, TextExpectation) and _fits_all(expected.matches):
                    place = (*path, "expect", key, "matches")
                    message = f"every text fits the pattern `{expected.matches}`"
                    help = "anchor it with `^` and `$`, or say what the text contains"
                    self._problems.report("CL620", message, place, severity=_WARNING, label="cannot fail", help=help)


def _refines(later: Mapping[str, Any], earlier: Mapping[str, Any]) -> bool:
    """Say whether a fixture is another one with more to it: to list the plain one first is a harmless habit."""
    shared = earlier.keys() & later.keys()
    return earlier.keys() < later.keys() and any(earlier[key] == later[key] for key in shared)


def _fits_all(pattern: str | None) -> bool:
    if pattern is None or _PLACES.search(pattern):
        return pattern in ("^", "$", "^.*", ".*$")
    try:
        return matcher(pattern)("", None)
    except CelError:  # which has been reported
        return False
