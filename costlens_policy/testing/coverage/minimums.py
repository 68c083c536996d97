"""How much must be covered: a percentage of the rules, or one for each of several measures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TypeAlias

from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.documents.suite import Measure
from costlens_policy.frozen import frozen
from costlens_policy.testing.coverage.items import Coverage, percent_of

__all__ = ["Minimums", "Shortfall", "minimums_of", "parsed_minimums", "shortfalls"]

Minimums: TypeAlias = Mapping[Measure, int]


@frozen
class Shortfall:
    """Coverage below a minimum, in percent; ``where`` names the suite that sets it, or is empty for the whole run."""

    where: str
    required: int
    reached: int
    measure: Measure = Measure.RULES


def minimums_of(given: int | Mapping[str, int] | Minimums | None) -> Minimums:
    """Return minimums by their measure; a single one is that of the rules. Raises ``ValueError``."""
    if given is None:
        return {}
    by_name: Mapping[str, int] | Minimums = {Measure.RULES: given} if isinstance(given, int) else given
    return dict(_minimum(str(name), percent) for name, percent in by_name.items())


def parsed_minimums(text: str) -> Minimums:
    """Read minimums as the command line has them: ``90``, or ``rules=100,mcdc=90``. Raises ``ValueError``."""
    found: dict[Measure, int] = {}
    for part in text.split(","):
        name, given, number = part.strip().partition("=")
        measure, percent = _minimum(*((name.strip(), number) if given else ("rules", name)))
        if measure in found:
            raise ValueError(f"`{measure}` has two minimums")
        found[measure] = percent
    return found


def _minimum(name: str, percent: int | str) -> tuple[Measure, int]:
    if name not in set(Measure):
        known = [str(measure) for measure in Measure]
        help = did_you_mean(name, known) or f"the measures are {listed(known)}"
        raise ValueError(f"unknown measure `{name}`; {help}")
    if not str(percent).strip().isdecimal() or not 0 <= int(percent) <= 100:
        raise ValueError(f"a minimum must be an integer from 0 to 100, got `{percent}`")
    return Measure(name), int(percent)


def shortfalls(where: str, minimums: Minimums, coverage: Iterable[Coverage]) -> Iterator[Shortfall]:
    """Yield the measures of which less is covered, all policy sets taken together."""
    several = list(coverage)
    for measure, required in minimums.items():
        reached = percent_of(chain.from_iterable(item.of(measure) for item in several))
        if reached < required:
            yield Shortfall(where, required, reached, measure)
