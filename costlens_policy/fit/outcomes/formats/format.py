"""What a format is: how its files are recognized and what their rows are, in the words of tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import field, replace
from typing import Any, Final

from costlens_policy.diagnostics.suggestion import listed
from costlens_policy.fit.outcomes.cases import OutcomesError
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.sources import RawRow, open_text

__all__ = [
    "Format", "Opened", "failed", "json_lines", "milliseconds", "object_at", "objects", "only_score", "part", "rows_of",
]  # fmt: skip

_BLANK: Final = " \t\r\n\x1e\ufeff"


@frozen
class Opened:
    """A file, and what it begins with.

    ``first`` is the first object of a file of JSON, ``document`` all of it where it is a single value, and ``header``
    the columns of a file of CSV. ``members`` are the names in a ZIP archive.
    """

    name: str
    first: Mapping[str, Any] = field(default_factory=dict)
    document: Any = None
    header: tuple[str, ...] = ()
    members: frozenset[str] = frozenset()


@frozen
class Format:
    """Files of one tool.

    ``columns`` are the places of fields in what ``rows`` gives, as a mapping names them; ``words`` are texts that it
    writes for scores. ``names`` gives the names that a model may have behind the one of the tool. ``prompts_vary``
    where a case has an id of its own, and a prompt that may be written otherwise for each model.
    """

    name: str
    about: str
    fits: Callable[[Opened], bool]
    rows: Callable[[Opened, Joining], Iterator[RawRow]]
    columns: Mapping[str, str]
    words: Mapping[str, float] = field(default_factory=dict)
    names: Callable[[str], Iterable[str]] = lambda name: ()
    prompts_vary: bool = False


def part(value: Any, *names: str) -> Any:
    """Return what is at a path of objects, None where it does not lead anywhere."""
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def object_at(value: Any, *names: str) -> Mapping[str, Any]:
    """Return the object at a path, an empty one where there is none."""
    found = part(value, *names)
    return found if isinstance(found, Mapping) else {}


def objects(value: Any) -> list[Mapping[str, Any]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def milliseconds(seconds: Any) -> float | None:
    """Return a duration in milliseconds."""
    return seconds * 1000 if isinstance(seconds, int | float) and not isinstance(seconds, bool) else None


def rows_of(items: Iterable[Any], name: str) -> Iterator[RawRow]:
    """Yield the elements of an array as rows, numbered from 1."""
    for number, item in enumerate(items, 1):
        if isinstance(item, Mapping):
            yield RawRow(name, number, item)
        else:
            yield RawRow(name, number, {}, str(item)[:200], "each row must be a JSON object")


def json_lines(name: str) -> Iterator[RawRow]:
    """Yield the objects of a file of JSON lines as they are, and what is wrong with other lines."""
    with open_text(name) as (lines, _):
        for number, line in enumerate(lines, 1):
            text = line.strip(_BLANK)
            if not text:
                continue
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                cut = "" if line[-1:] in "\r\n" else "; the file ends in the middle of the line"
                yield RawRow(name, number, {}, text[:200], f"not readable as JSON{cut}")
                continue
            yield from (replace(row, number=number) for row in rows_of([value], name))


def only_score(named: Mapping[str, Any], file: str, column: str, joining: Joining) -> Any:
    """Return the one score there is, None where there is none or the caller mapped one.

    Raises ``OutcomesError`` for several, with the columns to choose from.
    """
    if "score" in joining.settings.columns:
        return None
    known = {name: value for name, value in named.items() if value is not None}
    if len(known) > 1:
        choices = listed([f"score={column}.{name}" for name in known], last="or")
        raise OutcomesError(f"`{file}` has several scores for each answer; choose one with {choices}")
    return next(iter(known.values()), None)


def failed(joining: Joining, file: str, number: int) -> None:
    """Count an answer that never came: it is no evidence of the quality of a model."""
    joining.rows += 1
    joining.dropped.add("calls that failed, without an answer to score", (file, number))
