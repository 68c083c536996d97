"""From a row to a case with its answers: a score of one model, an object of scores, or a column for each model."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from typing import Any, Final

from costlens_policy.catalogue import Catalogue
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.fit.outcomes.cases import UnscoredError
from costlens_policy.fit.outcomes.formats.format import Format
from costlens_policy.fit.outcomes.joining import Answer, CaseRow, Joining
from costlens_policy.fit.outcomes.mapping import BY_MODEL, RangeError, fields_by_name, is_misspelt
from costlens_policy.fit.outcomes.tallies import Place
from costlens_policy.replay.traffic.cells import cell, cost_of, has_cell, object_of, text_of, tokens_of
from costlens_policy.replay.traffic.places import kind_of
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["Models", "RowReader", "prompt_text"]

_DATE: Final = re.compile(r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]")
_tokens: Final = lru_cache(maxsize=1 << 16, typed=True)(tokens_of)
_cost: Final = lru_cache(maxsize=1 << 16, typed=True)(cost_of)
"""Tables repeat their numbers, and reading one takes long."""
_WHOLE: Final = ("csv", "parquet")
_DESCRIBES: Final = ("prompt", "task", "model")
_LONGEST_TASK: Final = 1_000
_HIDDEN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_WIDE: Final = "."
"""Between a field and a model, as in `score.gpt-5`."""
_FIRST: Final = 1_000
"""Rows that are read before it is decided what columns hold: a single one may lack what all others have."""


def prompt_text(value: Any) -> str:
    """Return a prompt as text: of messages, what the user wrote, one after the other."""
    value = object_of(value)
    if isinstance(value, Mapping):
        value = value.get("messages", value.get("prompt", value))
    if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
        asked = [item for item in value if item.get("role", "user") == "user"] or value
        return "\n".join(_content(item.get("content", item.get("text"))) for item in asked)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "\n".join(value)
    return _content(value)


def _content(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(item, Mapping) and isinstance(item.get("text"), str) for item in value
    ):
        return "\n".join(item["text"] for item in value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _listed(names: Sequence[str]) -> str | None:
    """Return the first of several names that the installed price list knows."""
    if len(names) == 1:
        return None
    from costlens_policy.catalogue.price_list import meant_by  # takes a moment to load

    return next((name for name in names if meant_by(name)), None)


@dataclass(slots=True)
class Models:
    """Which model a name of the files means. Without a catalogue, each name is a model, as a price list has it."""

    catalogue: Catalogue | None
    given: Mapping[str, str]
    _known: dict[str, str | None] = field(default_factory=dict)

    def find(self, name: str, others: Callable[[str], Iterable[str]] = lambda name: ()) -> str | None:
        """Return the own name of the model, or None where the catalogue has none of that name or of the others."""
        if name not in self._known:
            options = (name,) if name in self.given else (name, *others(name))
            found = _listed(options) if self.catalogue is None else None
            self._known[name] = found or next(filter(None, map(self._found, options)), None)
        return self._known[name]

    def _found(self, name: str) -> str | None:
        name = self.given.get(name, name)
        if self.catalogue is None:
            return name
        model = self.catalogue.find(name)
        return None if model is None else model.name

    def unused(self) -> list[str]:
        """Return the names that the caller gave a meaning, and that nothing asked for."""
        return [name for name in self.given if name not in self._known]

    def problem(self, name: str) -> str:
        """Return why a name means no model, with the one that it probably means."""
        suggested = None if self.catalogue is None else self.catalogue.suggest(self.given.get(name, name))
        close = f" (did you mean `{suggested}`?)" if suggested else ""
        return f"scores of `{name}`, which is not a model of the catalogue{close}"


@dataclass(slots=True)
class RowReader:
    """Reads the rows of one file. The columns that the caller maps come before those of the format."""

    file: str
    joining: Joining
    models: Models
    format: Format
    unscored: str = ""
    """Why rows are no scores of a model by themselves: they describe cases or calls, or rate calls of another file."""
    calls: dict[str, tuple[Mapping[str, Any], Place]] = field(default_factory=dict)
    """Calls by id that another file may rate."""
    ratings: list[tuple[str, Any, Place]] = field(default_factory=list)
    """The id of a call, and its score."""
    _rates: bool = False
    _first: list[tuple[Mapping[str, Any], Place]] = field(default_factory=list)
    """The first rows, until it is decided what the columns hold."""
    _may_add: bool = False
    """Whether a later row may have a column of scores that no row before it had."""
    _columns: dict[str, str] = field(init=False)
    _constants: dict[str, Any] = field(init=False)
    _wide: dict[str, dict[str, str]] | None = None
    _missing: dict[str, str] = field(init=False)
    _seen: dict[str, None] = field(default_factory=dict)
    """The columns so far, in their order."""

    def __post_init__(self) -> None:
        given = fields_by_name(self.joining.settings.columns)
        self._columns = {**self.format.columns, **given}
        self._constants = fields_by_name(self.joining.settings.constants)
        self._missing = dict(given)
        for name in (*self.joining.settings.only, *self.joining.settings.without):
            self._missing[name] = name

    def take(self, raw: RawRow) -> None:
        """Read a row, or count why it is left out; ``finish`` reads what is still kept.

        Raises ``OutcomesError`` for a file that has nothing of a case.
        """
        self.joining.rows += 1
        place = (raw.file, raw.number)
        if raw.problem:
            self.joining.dropped.add(f"rows that cannot be read ({raw.problem})", place)
            return
        fields = raw.fields
        if self._missing:
            self._missing = {name: column for name, column in self._missing.items() if not has_cell(fields, column)}
        for column, value in self.joining.settings.only.items():
            if not _is(cell(fields, column), value):
                self.joining.dropped.add(f"rows without `{value}` in `{column}`", place)
                return
        for column, values in self.joining.settings.without.items():
            if any(_is(cell(fields, column), value) for value in values):
                self.joining.dropped.add(f"rows with one of the values to leave out in `{column}`", place)
                return
        if self._wide is None:
            self._first.append((fields, place))
            if len(self._first) == _FIRST:
                self.finish()
            return
        if self._may_add and not fields.keys() <= self._seen.keys():
            self._add_columns(fields)
        self._sort(fields, place)

    def finish(self) -> None:
        """Decide by the first rows what the columns hold, and read these rows. Raises ``OutcomesError``."""
        first, self._first = self._first, []
        if first:
            self._wide = self._by_model([fields for fields, _ in first])
        for fields, place in first:
            self._sort(fields, place)

    def _sort(self, fields: Mapping[str, Any], place: Place) -> None:
        if self.unscored:
            self._keep(fields, place)
        else:
            self._read(fields, place)

    def _keep(self, fields: Mapping[str, Any], place: Place) -> None:
        """Keep a row until all files are read: a rating, a call that may be rated, or what is known of a case."""
        id = self._value(fields, "id")
        if id is None:
            self.joining.dropped.add("rows without an id, by which they would join", place)
        elif self._rates:
            self.ratings.append((text_of(id), self._value(fields, "score"), place))
        elif self._value(fields, "model") is None:
            self._read(fields, place)
        elif self.calls.setdefault(text_of(id), (fields, place))[1] != place:
            self.joining.dropped.add("calls with the id of an earlier one", place)

    def describe(self, id: str) -> None:
        """Take what a call that nobody rated shows of its case."""
        self._take(*self.calls[id], False, [])

    def rate(self, id: str, score: Any, place: Place) -> None:
        """Take a call with the score that another file has for it."""
        fields, _ = self.calls[id]
        model = text_of(self._value(fields, "model"))
        answer = self._answer(fields, model, score, place)
        self._take(fields, place, False, [] if answer is None else [answer])

    @property
    def has_rows(self) -> bool:
        return bool(self._seen)

    def missing(self) -> dict[str, str]:
        """Return what is wrong for each column that was asked for, and that is nowhere in the file."""
        return {
            name: f"`{self.file}` has no column `{column}`, which `{name}` is mapped to; "
            + (did_you_mean(column, tuple(self._seen)) or f"the columns are {listed(tuple(self._seen))}")
            for name, column in self._missing.items()
        }

    def _read(self, fields: Mapping[str, Any], place: Place) -> None:
        whole, answers = (False, []) if self.unscored else self._answers(fields, place)
        if answers or self.unscored:
            self._take(fields, place, whole, answers)

    def _take(self, fields: Mapping[str, Any], place: Place, whole: bool, answers: list[Answer]) -> None:
        id, task = self._value(fields, "id"), self._value(fields, "task")
        prompt, run = self._value(fields, "prompt"), self._value(fields, "run")
        time = self._value(fields, "time")
        if time is not None:
            self.joining.newest = max(self.joining.newest, _day(time))
        self.joining.take(
            CaseRow(
                place,
                None if id is None else text_of(id),
                None if task is None else self._task(text_of(task), place),
                None if prompt is None else prompt_text(prompt),
                self._number(fields, "prompt_tokens", _tokens, place) or None,
                None if run is None else text_of(run),
                answers,
                whole,
                self.format.prompts_vary,
            )
        )

    def _task(self, name: str, place: Place) -> str | None:
        """Return the name of a task without blanks around it. One that a policy cannot compare is refused."""
        task = name.strip()
        if task != name:
            self.joining.remarks.add("tasks with blanks around their names, read without these", place)
        if len(task) > _LONGEST_TASK:
            what = f"tasks with names of more than {_LONGEST_TASK:,} characters"
            self.joining.refuse(what, "map `task` to a column that names tasks", place)
        if hidden := next(filter(_is_hidden, task), ""):
            shown = unicodedata.name(hidden, "").lower() or "a control character"
            self.joining.refuse(
                "tasks with a character that cannot be seen",
                "correct the file, as no policy should compare such a name",
                f"{place[0]}:{place[1]}: U+{ord(hidden):04X}, {shown}",
            )
        return task or None

    def _answers(self, fields: Mapping[str, Any], place: Place) -> tuple[bool, list[Answer]]:
        """Return whether the row has the answers of all models, and the answers."""
        assert self._wide is not None
        scores: Mapping[str, Any] | None = None
        if "score" in self._wide:
            scores = {model: cell(fields, column) for model, column in self._wide["score"].items()}
        elif (found := object_of(self._value(fields, "scores"))) is not None:
            scores = found if isinstance(found, Mapping) else {}
            if not scores:
                self.joining.dropped.add("rows without scores", place)
        if scores is None:
            model = self._value(fields, "model")
            if model is None:
                self.joining.dropped.add("rows that name no model", place)
                return False, []
            answer = self._answer(fields, text_of(model), self._value(fields, "score"), place)
            return False, [] if answer is None else [answer]
        answers = (self._answer(fields, model, value, place) for model, value in scores.items())
        return True, [answer for answer in answers if answer is not None]

    def _answer(self, fields: Mapping[str, Any], name: str, value: Any, place: Place) -> Answer | None:
        if value is None or value == "":
            self.joining.dropped.add("scores that are empty", place)
            return None
        model = self.models.find(name, self.format.names)
        if model is None:
            self.joining.dropped.add(self.models.problem(name), place)
            return None
        score = self._score(value, place)
        if score is None:
            return None
        cost = self._number(fields, "cost", _cost, place, name)
        tokens = self._number(fields, "output_tokens", _tokens, place, name) or None
        return Answer(model, score, cost, tokens, self._number(fields, "latency_ms", _latency, place, name))

    def _score(self, value: Any, place: Place) -> float | None:
        scale = self.joining.settings.scale
        try:
            if self.format.words and isinstance(value, str) and value in self.format.words:
                return self.format.words[value]
            score = scale.score(value)
        except RangeError as error:
            remedy = "set `--scale`, for example `--scale 0..100` for percent, or correct the file"
            self.joining.refuse(f"scores outside {scale}", remedy, _with(place, error))
            return None
        except ValueError as error:
            self.joining.dropped.add("values that are not scores", _with(place, error))
            return None
        if score is None:
            self.joining.dropped.add("scores that are NaN", place)
        return score

    def _value(self, fields: Mapping[str, Any], name: str) -> Any:
        if name in self._columns:
            value = cell(fields, self._columns[name])
            if value is not None:
                return value
        return self._constants.get(name)

    def _number(
        self, fields: Mapping[str, Any], name: str, read: Callable[[Any], Any], place: Place, model: str = ""
    ) -> Any:
        """Return a number beside the score, None where it is absent or, with a remark, not readable."""
        column = self._wide[name].get(model) if self._wide and name in self._wide else None
        value = self._value(fields, name) if column is None else cell(fields, column)
        if value is None:
            return None
        try:
            return read(value)
        except (ValueError, TypeError) as error:  # a list cannot be looked up among the numbers that are known
            said = error if isinstance(error, ValueError) else ValueError("a list or an object is not a number")
            self.joining.remarks.add(f"values of `{name}` that are not readable, taken as unknown", _with(place, said))
            return None

    def _by_model(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
        """Return the columns of each model by field, as they are mapped, or else named as the catalogue's models."""
        self._seen = dict.fromkeys(name for fields in rows for name in fields)
        if kind_of(self.file) in _WHOLE:  # each row has every column
            self._columns = {name: column for name, column in self._columns.items() if has_cell(rows[0], column)}
        wide: dict[str, dict[str, str]] = {}
        for name, column in self._columns.items():
            base, dot, model = name.partition(_WIDE)
            if dot and base in BY_MODEL:
                wide.setdefault(base, {})[model] = column
        if wide.get("score"):
            self._note_unmapped(rows)
            return wide
        if self._has(rows, "scores") or (self._has(rows, "model") and self._has(rows, "score")):
            return wide
        if self._has(rows, "id") and self._has(rows, "score"):
            self._rates = True
            self.unscored = f"`{self.file}` has scores of no model; map `model`, or set it with `--set model=NAME`"
            self.joining.remarks.add("files with scores of calls by id, whose models another file has", self.file)
            return wide
        likely = self._likely_scores(rows)
        named = self._named_as_models()
        if named.keys().isdisjoint(likely):
            self._describe(rows, likely)
            return wide
        self.joining.remarks.add("columns with the name of a model, read as its scores", None, len(named))
        for name in likely:
            if name not in named:
                self.joining.remarks.add("columns that are not read, although they may be scores", self._shown(name))
        self._may_add = kind_of(self.file) not in _WHOLE
        return {**wide, "score": named}

    def _describe(self, rows: Sequence[Mapping[str, Any]], likely: Sequence[str]) -> None:
        """Have the file describe cases that others score. Raises ``OutcomesError`` where it has nothing of a case."""
        such = f", such as `score.MODEL={likely[0]}`" if likely else ""
        known = () if self.models.catalogue is None else tuple(model.name for model in self.models.catalogue)
        unlike = f"; none of these is a model of the catalogue, which has {listed(known)}" if known and likely else ""
        self.unscored = (
            f"`{self.file}` has no scores; map `model` and `score`, or `score.MODEL` for the column of each "
            f"model{such}; the columns are {listed(tuple(self._seen)) or 'none'}{unlike}"
        )
        if not self._has(rows, "id") or not any(self._has(rows, name) for name in _DESCRIBES):
            raise UnscoredError(self.unscored)
        self.joining.remarks.add("files without scores, read for what others score by id", self.file)

    def _add_columns(self, fields: Mapping[str, Any]) -> None:
        """Take the columns of a row that no row before it had, where they are named as models."""
        assert self._wide is not None
        before = self._named_as_models()
        self._seen.update(dict.fromkeys(fields))
        new = {name: name for name in self._named_as_models() if name not in before}
        self._wide["score"].update(new)
        if new:
            self.joining.remarks.add("columns with the name of a model, read as its scores", None, len(new))

    def _note_unmapped(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Note columns that are named as models, and that are not among those that are mapped."""
        likely = set(self._likely_scores(rows))
        for name in self._named_as_models():
            if name in likely:
                what = "columns with the name of a model that are not read, as others are mapped"
                self.joining.remarks.add(what, f"`{name}`")

    def _has(self, rows: Sequence[Mapping[str, Any]], name: str) -> bool:
        if name in self._constants:
            return True
        return name in self._columns and any(has_cell(fields, self._columns[name]) for fields in rows)

    def _free(self) -> list[str]:
        """Return the columns that are no field."""
        taken = set(self._columns.values())
        return [name for name in self._seen if name not in taken]

    def _named_as_models(self) -> dict[str, str]:
        if self.models.catalogue is None:
            return {}
        return {name: name for name in self._free() if self.models.find(name)}

    def _likely_scores(self, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Return the columns that are no field, and whose values are scores, or are absent under a model's name."""
        return [name for name in self._free() if self._may_be_scores(name, [fields.get(name) for fields in rows])]

    def _may_be_scores(self, name: str, values: Sequence[Any]) -> bool:
        """Whether most of the values are scores; under the name of a model any, or none that is something else."""
        is_model = self.models.catalogue is not None and self.models.find(name) is not None
        there = [value for value in values if value is not None and value != ""]
        scores = sum(self._may_score(is_model, value) for value in there)
        return (is_model and not there) or (scores > 0 if is_model else 2 * scores > len(there))

    def _may_score(self, is_model: bool, value: Any) -> bool:
        try:
            return self.joining.settings.scale.score(value) is not None
        except ValueError as error:
            return is_misspelt(value) or (is_model and isinstance(error, RangeError))

    def _shown(self, name: str) -> str:
        """Return the name of a column, with the model that it probably means."""
        near = None if self.models.catalogue is None else self.models.catalogue.suggest(name)
        return f"`{name}`" + (f"; did you mean `{near}`?" if near else "")


def _is_hidden(character: str) -> bool:
    """Whether nobody sees a character as what it is; a tab or an end of line is written as an escape."""
    kind = unicodedata.category(character)
    return kind in _HIDDEN and character not in " \t\n\r"


def _is(value: Any, wanted: str) -> bool:
    return value is not None and text_of(value) == wanted


def _with(place: Place, error: Exception) -> str:
    return f"{place[0]}:{place[1]}: {error}"


def _day(time: Any) -> str:
    """Return the day of a timestamp, an empty text where it has none."""
    if isinstance(time, date):
        return time.isoformat()[:10]
    found = _DATE.match(str(time))
    return found.group() if found else ""


def _latency(value: Any) -> float:
    number = float(value)
    if not 0 <= number < 1e12:
        raise ValueError(f"`{value}` is out of range")
    return number
