"""Outcomes: how well each model answered each case, and what was read, dropped or not joined on the way."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Final, TypeVar

from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

__all__ = ["Case", "Notes", "Outcomes", "OutcomesError", "Source", "Tally", "UnscoredError", "group_of"]

_T = TypeVar("_T")
_ALIKE: Final = str.maketrans("\u2018\u2019\u201c\u201d\u2013\u2014\u2212", "''\"\"---")
"""Typographic quotes and dashes, and a minus."""
_MOST_PLACES: Final = 3
_BLANKS: Final = re.compile(r"\s+")


class OutcomesError(InputError):
    """Outcomes cannot be read or used; after a semicolon the message suggests a remedy."""


class UnscoredError(OutcomesError):
    """No file has scores, or columns that could be taken for them."""


@frozen
class Case:
    """One request that models were measured on.

    ``group`` is equal for cases whose prompts are equal but for case, blanks and typographic quotes, so that they can
    be kept on one side of a split; a case without a prompt is its own group. ``input_tokens`` are those of the source.
    """

    id: str
    task: str | None
    prompt: str | None
    input_tokens: int | None
    group: str


@frozen
class Tally:
    """How often something was found, and where first, as `file:row`."""

    what: str
    count: int
    places: tuple[str, ...]

    def __str__(self) -> str:
        where = f" (first: {', '.join(self.places)})" if self.places else ""
        return f"{self.what}: {self.count:,}{where}"


@frozen
class Source:
    """A file that was read: its format, such as `promptfoo`, and the SHA-256 of its bytes, in hexadecimal."""

    name: str
    format: str
    digest: str


@frozen
class Notes:
    """What became of the rows.

    ``rows`` were read and gave ``scores``. ``dropped`` counts rows and scores that are not used, by reason;
    ``unjoined`` what one source has and another lacks; ``remarks`` what was used and needs a word.
    """

    rows: int = 0
    scores: int = 0
    dropped: tuple[Tally, ...] = ()
    unjoined: tuple[Tally, ...] = ()
    remarks: tuple[Tally, ...] = ()


@frozen
class Outcomes:
    """Scores from 0 to 1 by model, aligned with ``cases``; None where a model was not measured on a case.

    ``costs`` are US dollars for the call, ``output_tokens`` and ``latency_ms`` those of the answer, each aligned with
    ``cases``; a model is missing there where no source has them. ``measured`` is the newest date that sources give.
    With ``paired`` a case is a comparison of two models, and a score what one won: 1, 0, or one half for a tie. Means
    of them depend on who was compared with whom; ``strengths`` do not.
    """

    cases: tuple[Case, ...]
    scores: Mapping[str, tuple[float | None, ...]]
    costs: Mapping[str, tuple[Decimal | None, ...]]
    output_tokens: Mapping[str, tuple[int | None, ...]]
    latency_ms: Mapping[str, tuple[float | None, ...]]
    notes: Notes = Notes()
    sources: tuple[Source, ...] = ()
    measured: date | None = None
    paired: bool = False

    @property
    def models(self) -> tuple[str, ...]:
        """The models that were measured, in the order of their names."""
        return tuple(sorted(self.scores))

    @property
    def tasks(self) -> tuple[str | None, ...]:
        """The tasks of the cases, in order; None first, where a case has no task."""
        found = {case.task for case in self.cases}
        return (*((None,) if None in found else ()), *sorted(task for task in found if task is not None))

    @property
    def digest(self) -> str:
        """SHA-256, in hexadecimal, of cases and scores: the same whatever file, format or order they came in."""
        models = self.models
        lines = sorted(
            repr((case.id, case.task, case.group, [(name, self.scores[name][at]) for name in models]))
            for at, case in enumerate(self.cases)
        )
        return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()

    def part(self, places: Sequence[int]) -> Outcomes:
        """Return the outcomes of some cases, by their places, in this order and with the same models."""

        def column(values: Mapping[str, tuple[_T, ...]]) -> dict[str, tuple[_T, ...]]:
            return {name: tuple(items[at] for at in places) for name, items in values.items()}

        return Outcomes(
            tuple(self.cases[at] for at in places), column(self.scores), column(self.costs),
            column(self.output_tokens), column(self.latency_ms), self.notes, self.sources, self.measured, self.paired,
        )  # fmt: skip

    def apart_from(self, other: Outcomes) -> Outcomes:
        """Return the cases that the other outcomes do not have, counting the rest as dropped.

        Cases are the same by their prompts; by id and task where one of them has no prompt. What is reported on cases
        that were fitted on shows how well they are remembered. Raises ``OutcomesError`` where nothing is left.
        """
        known = _Known(other.cases)
        shared = {at for at, case in enumerate(self.cases) if known.has(case)}
        places = [at for at in range(len(self.cases)) if at not in shared]
        if not places:
            raise OutcomesError(
                "every case is a case of the fitting data, too; report on other cases, or map `id` to what identifies "
                "cases in both"
            )
        tallies = (
            _tally("cases of the fitting data, too", [self.cases[at].id for at in sorted(shared)]),
            _tally(
                "cases kept apart from those of the fitting data by their ids alone, as prompts are missing",
                [self.cases[at].id for at in places if not known.by_prompt(self.cases[at])],
            ),
        )
        if not any(tallies):
            return self
        apart = self.part(places)
        kept = sum(len(scores) - scores.count(None) for scores in apart.scores.values())
        dropped, remarks = (((tally,) if tally else ()) for tally in tallies)
        notes = replace(
            self.notes, scores=kept, dropped=(*self.notes.dropped, *dropped), remarks=(*self.notes.remarks, *remarks)
        )
        return replace(apart, notes=notes)


class _Known:
    """Cases, and whether they have another one."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._groups = {case.group for case in cases}
        self._prompted = all(case.prompt is not None for case in cases)
        self._tasks: dict[str, dict[str | None, bool]] = {}
        """For each id, whether a case of each task lacks its prompt."""
        for case in cases:
            tasks = self._tasks.setdefault(_plain_id(case), {})
            tasks[case.task] = tasks.get(case.task, False) or case.prompt is None

    def by_prompt(self, case: Case) -> bool:
        """Whether prompts tell if a case is one of these."""
        return self._prompted and case.prompt is not None

    def has(self, case: Case) -> bool:
        """Whether a case is one of these. One without a task is that of any task."""
        if case.group in self._groups:
            return True
        tasks = self._tasks.get(_plain_id(case), {})
        alike = tasks if case.task is None else tasks.keys() & {case.task, None}
        return any(case.prompt is None or tasks[task] for task in alike)


def _plain_id(case: Case) -> str:
    """Return the id that the source has, without the task that tells it from equal ids of other tasks."""
    return case.id.removeprefix(f"{case.task or ''}/")


def _tally(what: str, ids: Sequence[str]) -> Tally | None:
    return Tally(what, len(ids), tuple(ids[:_MOST_PLACES])) if ids else None


def group_of(prompt: str) -> str:
    """Return what equal prompts have in common: a digest of the text in NFKC and lower case, with single blanks."""
    text = _BLANKS.sub(" ", unicodedata.normalize("NFKC", prompt.translate(_ALIKE)).casefold()).strip()
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:24]
