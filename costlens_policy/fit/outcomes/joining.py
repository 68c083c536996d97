"""Answers from many rows and files joined into cases: equal rows count once, contradictions are named."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from math import fsum
from typing import Any, Final, NamedTuple

from costlens_policy.fit.outcomes.cases import Case, Notes, Outcomes, OutcomesError, Source, group_of
from costlens_policy.fit.outcomes.mapping import OutcomeSettings
from costlens_policy.fit.outcomes.tallies import Place, Tallies

__all__ = ["Answer", "CaseRow", "Joining"]

_Key = int | tuple[int, str]
"""A case, and the run of it where several are told apart."""
_MOST_REASONS: Final = 3
_FACTS: Final = ("cost", "output_tokens", "latency_ms")


class Answer(NamedTuple):
    """What one model's answer to a case was worth, from 0 to 1; ``cost`` is in US dollars."""

    model: str
    score: float
    cost: Decimal | None = None
    output_tokens: int | None = None
    latency_ms: float | None = None


class CaseRow(NamedTuple):
    """A row about a case. One that is ``whole`` has the answers of all models, and so may lack an id."""

    place: Place
    id: str | None
    task: str | None
    prompt: str | None
    input_tokens: int | None
    run: str | None
    answers: Sequence[Answer]
    whole: bool
    prompt_varies: bool = False
    """Whether the prompt of a case may be written otherwise for each model."""


@dataclass(slots=True)
class _Open:
    """A case that further rows may complete."""

    id: str
    task: str | None
    prompt: str | None
    input_tokens: int | None
    place: Place


@dataclass(slots=True)
class Joining:
    """Takes row after row, and gives the outcomes at the end. Who reads counts ``rows`` and what is dropped.

    A case is known by its id and task, or by its prompt and task where rows have no id.
    """

    settings: OutcomeSettings
    rows: int = 0
    dropped: Tallies = field(default_factory=Tallies)
    remarks: Tallies = field(default_factory=Tallies)
    newest: str = ""
    """The newest date of a row or file, as text."""
    unjoined: Tallies = field(default_factory=Tallies)
    _refused: Tallies = field(default_factory=Tallies)
    _remedies: dict[str, str] = field(default_factory=dict)
    _cases: list[_Open] = field(default_factory=list)
    _by_id: dict[str, int] = field(default_factory=dict)
    _by_task_and_id: dict[tuple[str, str], int] = field(default_factory=dict)
    _of_several_tasks: set[str] = field(default_factory=set)
    _by_prompt: dict[tuple[str | None, str], int] = field(default_factory=dict)
    _task_of_prompt: dict[str, str | None] = field(default_factory=dict)
    _alike: Counter[str] = field(default_factory=Counter)
    _scores: dict[str, dict[_Key, float]] = field(default_factory=dict)
    _contradicted: dict[tuple[str, _Key], list[float]] = field(default_factory=dict)
    _facts: dict[str, dict[str, dict[_Key, Any]]] = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        return bool(self._scores)

    def take(self, row: CaseRow) -> None:
        """Take the answers of a row."""
        if row.id is not None:
            at = self._by_its_id(row, row.id)
        elif row.prompt is not None:
            at = self._by_its_prompt(row, row.prompt)
        elif row.whole:
            at = self._by_its_content(row)
        else:
            self.dropped.add("rows with neither an id nor a prompt by which the answers of models join", row.place)
            return
        if at is not None:
            key: _Key = at if row.run is None else (at, row.run)
            for answer in row.answers:
                self._put(key, answer, row.place)

    def refuse(self, what: str, remedy: str, place: Place | str) -> None:
        """Count what keeps the outcomes from being used at all."""
        self._refused.add(what, place)
        self._remedies[what] = remedy

    def _new(self, row: CaseRow, id: str) -> int:
        self._cases.append(_Open(id, row.task, row.prompt, row.input_tokens, row.place))
        return len(self._cases) - 1

    def _by_its_id(self, row: CaseRow, id: str) -> int | None:
        """Return the case of an id: the only one of that id, or that of the row's task where several tasks have it."""
        at = self._by_id.get(id)
        if at is None:
            at = self._by_id[id] = self._new(row, id)
            return at
        case = self._cases[at]
        if row.task is None:
            if id in self._of_several_tasks:
                self.dropped.add("rows without a task, and with an id that several tasks have", row.place)
                return None
        elif case.task is None:
            case.task = row.task
        elif case.task != row.task:
            self._of_several_tasks.add(id)
            at = self._by_task_and_id.get((row.task, id))
            if at is None:
                at = self._by_task_and_id[row.task, id] = self._new(row, id)
                return at
            case = self._cases[at]
        self._complete(case, row)
        return at

    def _complete(self, case: _Open, row: CaseRow) -> None:
        if case.input_tokens is None:
            case.input_tokens = row.input_tokens
        if row.prompt is None or case.prompt == row.prompt:
            return
        if case.prompt is None:
            case.prompt = row.prompt
        elif not row.prompt_varies and group_of(case.prompt) != group_of(row.prompt):
            self.refuse(
                "rows with another prompt than an earlier row of the same id",
                "map `id` to a column that identifies cases",
                row.place,
            )

    def _by_its_prompt(self, row: CaseRow, prompt: str) -> int | None:
        """Return the case of a prompt. A whole row is a case of its own, unless it repeats another one."""
        group = group_of(prompt)
        at = self._by_prompt.get((row.task, group))
        if at is None:
            if self._task_of_prompt.setdefault(group, row.task) != row.task:
                self._of_several_tasks.add(group)
            at = self._by_prompt[row.task, group] = self._new(row, group)
            return at
        known = [(self._scores.get(answer.model, {}).get(at), answer.score) for answer in row.answers]
        if row.whole and row.run is None and any(score not in (None, given) for score, given in known):
            self.remarks.add("rows that repeat a prompt with other scores, cases of one group", row.place)
            return self._new(row, f"{group}:{row.place[1]}")
        if row.whole and row.run is None and known and all(score is not None for score, _ in known):
            self.remarks.add("rows that repeat another one, counted once", row.place)
            return None
        self._complete(self._cases[at], row)
        return at

    def _by_its_content(self, row: CaseRow) -> int:
        """Return a case of its own for a row that only its answers tell from others, whatever the order of rows is."""
        self.remarks.add("rows with neither id nor prompt, each a case of its own", row.place)
        content = repr((row.task, row.input_tokens, row.run, sorted(row.answers, key=lambda answer: answer.model)))
        id = f"{row.place[0]}:{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:16]}"
        self._alike[id] += 1
        return self._new(row, f"{id}-{self._alike[id]}")

    def _put(self, key: _Key, answer: Answer, place: Place) -> None:
        scores = self._scores.setdefault(answer.model, {})
        if key in scores:
            self._again(key, answer, scores[key], place)
            return
        scores[key] = answer.score
        for name in _FACTS:
            value = getattr(answer, name)
            if value is not None:
                self._facts.setdefault(name, {}).setdefault(answer.model, {})[key] = value

    def _again(self, key: _Key, answer: Answer, known: float, place: Place) -> None:
        """Count a second score of one case and model: the same one once, another one as a contradiction."""
        different = self._contradicted.get((answer.model, key), [known])
        if answer.score in different:
            self.remarks.add("scores that are there twice, counted once", place)
            return
        self._contradicted[answer.model, key] = [*different, answer.score]
        if self.settings.conflicts == "refuse":
            self.refuse(
                "scores that differ from an earlier one of the same case and model",
                "correct the file, map `run` where runs were repeated, or decide with `--conflicts mean` or `drop`",
                place,
            )
        elif self.settings.conflicts == "mean":
            self.remarks.add(
                "scores that differ from an earlier one of the same case and model, whose mean counts", place
            )
        else:
            self.dropped.add(
                "scores that differ from an earlier one of the same case and model, of which none counts", place
            )

    def outcomes(self, sources: tuple[Source, ...], left_out: Callable[[str], bool], paired: bool) -> Outcomes:
        """Return what was joined, without cases whose group is ``left_out``.

        Raises ``OutcomesError`` for contradictions that were not decided, and where nothing is left.
        """
        for found in self._refused.all():
            raise OutcomesError(f"{found}; {self._remedies[found.what]}")
        self._decide_contradictions()
        cases = [self._closed(case) for case in self._cases]
        scores = {model: _by_case(found, _mean) for model, found in sorted(self._scores.items())}
        measured = {at for found in scores.values() for at in found}
        kept = []
        for at, case in enumerate(cases):
            if left_out(case.group):
                self.dropped.add("cases with a prompt that was to be left out", self._cases[at].place)
            elif at in measured:
                kept.append(at)
            else:
                self.unjoined.add("cases without any score", self._cases[at].place)
        if not kept:
            raise OutcomesError(_nothing(self.rows, self.dropped))
        joined = Outcomes(
            tuple(cases[at] for at in kept),
            {model: _column(values, kept) for model, values in scores.items() if not values.keys().isdisjoint(kept)},
            self._known("cost", kept, lambda values: sum(values, Decimal()) / len(values)),
            self._known("output_tokens", kept, lambda values: round(sum(values) / len(values))),
            self._known("latency_ms", kept, _mean),
            sources=sources,
            measured=self._date(),
            paired=paired,
        )
        self._note_runs(set(kept))
        _note_cases(joined, [self._cases[at].place for at in kept], self.settings.few, self.remarks)
        return self._noted(joined)

    def _decide_contradictions(self) -> None:
        for (model, key), scores in self._contradicted.items():
            if self.settings.conflicts == "mean":
                self._scores[model][key] = _mean(scores)
            else:
                del self._scores[model][key]

    def _closed(self, case: _Open) -> Case:
        id = f"{case.task or ''}/{case.id}" if case.id in self._of_several_tasks else case.id
        return Case(id, case.task, case.prompt, case.input_tokens, id if case.prompt is None else group_of(case.prompt))

    def _known(self, name: str, kept: Sequence[int], mean: Callable[[list[Any]], Any]) -> dict[str, tuple[Any, ...]]:
        facts = sorted(self._facts.get(name, {}).items())
        return {model: _column(_by_case(found, mean), kept) for model, found in facts}

    def _date(self) -> date | None:
        try:
            return date.fromisoformat(self.newest) if self.newest else None
        except ValueError:
            self.remarks.add("dates that are not readable", self.newest)
            return None

    def _note_runs(self, kept: set[int]) -> None:
        for keys in self._scores.values():
            runs = [key[0] for key in keys if isinstance(key, tuple) and key[0] in kept]
            if repeated := len(runs) - len(set(runs)):
                self.remarks.add("runs that repeat a case, whose mean counts", None, repeated)

    def _noted(self, found: Outcomes) -> Outcomes:
        for model, scores in found.scores.items():
            for case, score in zip(found.cases, scores, strict=True):
                if score is None and not found.paired:
                    self.unjoined.add(f"cases without a score of `{model}`", case.id)
        scored = sum(len(scores) - scores.count(None) for scores in found.scores.values())
        notes = Notes(self.rows, scored, self.dropped.all(), self.unjoined.all(), self.remarks.all())
        return replace(found, notes=notes)


def _note_cases(found: Outcomes, places: Sequence[Place], few: int, remarks: Tallies) -> None:
    """Note what a split or an estimate by task has to mind."""
    sizes = Counter(case.task for case in found.cases)
    prompted = any(case.prompt is not None for case in found.cases)
    tasks: dict[str, str | None] = {}
    for case, place in zip(found.cases, places, strict=True):
        if case.task is None and len(sizes) > 1:
            remarks.add("cases without a task", place)
        if case.prompt is None and prompted:
            remarks.add("cases without a prompt", place)
        if case.group in tasks and tasks[case.group] == case.task and not _is_repeated(case, found.paired):
            remarks.add("cases with the prompt of an earlier case under another id, one group with it", place)
        if tasks.setdefault(case.group, case.task) != case.task:
            remarks.add("cases with a prompt that is a case of another task, too", place)
    for task, size in sizes.items():
        if task is not None and size < few:
            remarks.add(f"tasks with fewer than {few} cases", f"{task} ({size})")


def _is_repeated(case: Case, paired: bool) -> bool:
    """Whether it is usual or noted that the prompt of a case repeats: in comparisons, and in rows without ids."""
    return paired or case.id.startswith(case.group)


def _by_case(found: Mapping[_Key, Any], mean: Callable[[list[Any]], Any]) -> Mapping[int, Any]:
    """Return values by case; of several runs, their mean."""
    runs: dict[int, list[Any]] = {}
    alone: dict[int, Any] = {}
    for key, value in found.items():
        if isinstance(key, tuple):
            runs.setdefault(key[0], [alone[key[0]]] if key[0] in alone else []).append(value)
        elif key in runs:
            runs[key].append(value)
        else:
            alone[key] = value
    return {**alone, **{at: mean(values) for at, values in runs.items()}}


def _mean(values: Sequence[float]) -> float:
    return fsum(values) / len(values)


def _column(values: Mapping[int, Any], kept: Sequence[int]) -> tuple[Any, ...]:
    return tuple(map(values.get, kept))


def _nothing(rows: int, dropped: Tallies) -> str:
    if not rows:
        return "the files contain no rows"
    reasons = "; ".join(map(str, dropped.all()[:_MOST_REASONS]))
    return f"none of {rows:,} rows has a score that can be used" + (f": {reasons}" if reasons else "")
