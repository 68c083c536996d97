"""A replay that is shared out: what each worker needs to know, all of it data that can be pickled."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import field, replace
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue import BUCKETS
from costlens_policy.compiler.plan import Plan
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE, RECORDED, schema_of
from costlens_policy.replay.columns.step import Job
from costlens_policy.replay.files import obstacle
from costlens_policy.replay.parts.sharing import Sharing, sharing_of
from costlens_policy.replay.settings import Settings
from costlens_policy.replay.stream.layout import is_inside
from costlens_policy.replay.traffic.mapping import COUNTS, ColumnMapping
from costlens_policy.replay.traffic.model_columns import with_models
from costlens_policy.replay.traffic.reading import RowReader
from costlens_policy.replay.traffic.ready import READY
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["PART", "REPORT", "Task", "task_of"]

PART = "_part"
REPORT = "_report"
REFUSED = "_refused"
"""Why the policy set does not accept a row, whose id counts as seen all the same."""


@frozen
class Task:
    """``mapping`` maps the columns of the traffic, ``place`` is a column of whole numbers that tells rows apart.

    ``name`` stands for the traffic in messages, ``parts`` is over how many parts rows are shared out. ``absent`` are
    columns of prepared rows that have nothing to come from.
    """

    plan: Plan
    mapping: ColumnMapping
    settings: Settings
    name: str
    parts: int
    place: str | None
    sharing: Sharing
    attributes: tuple[str, ...]
    absent: frozenset[str]
    job: Job = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "job", Job(self.plan, self.settings, self.attributes, (self.name,), True))

    def reader(self) -> RowReader:
        """Return a reader of rows, which takes no id for a repeated one."""
        return RowReader(self.mapping, self.plan, self.settings.start, ids=None, files=(self.name,))

    @property
    def schema(self) -> Mapping[str, Any]:
        """The columns of prepared rows: those of a batch, the part of each, and what a worker reports at its end.

        Engines move each column of each row, so those that are empty in any case are left out.
        """
        columns = {name: kind for name, kind in self.whole_schema.items() if name not in self.absent}
        return {**columns, PART: pl.Int32, REPORT: pl.String}

    @property
    def whole_schema(self) -> Mapping[str, Any]:
        """The columns of a batch, and why the policy set does not accept a row."""
        return {**schema_of(self.plan, self.job.attributes), REFUSED: pl.String}

    @property
    def can_spread(self) -> bool:
        """Whether an id may have rows in several parts."""
        return self.parts > 1 and "id" not in self.absent

    @property
    def ties(self) -> tuple[str, ...]:
        """By what rows of one time are put in order: nothing that depends on how an engine shared them out."""
        return ("number",) if self.place is not None else ("id", "session", "model", "prompt", "output")

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which rows are in order whatever part they lie in; the id is among them."""
        return tuple(name for name in dict.fromkeys(("time", *self.ties, PART, "id")) if name not in self.absent)


def task_of(
    plan: Plan, mapping: ColumnMapping | str, settings: Settings, name: str, columns: Collection[str], parts: int,
    place: str | None,
) -> Task:  # fmt: skip
    """Return the task of a replay over traffic with these columns. ``mapping`` may be the name of a ready one.

    Raises ``TrafficError`` where the traffic can only be replayed row by row, and for a column that is not there.
    """
    if isinstance(mapping, str):
        if mapping not in READY:
            raise TrafficError(f"unknown mapping `{mapping}`; the ready ones are {', '.join(sorted(READY))}")
        mapping = READY[mapping]
    if mapping.spans or mapping.transcripts:
        raise TrafficError(f"mapping `{mapping.name}` needs whole files; use `replay_files`")
    mapping = with_models(_with_requests(mapping, columns, plan), plan.catalogue.find)
    alone = obstacle(plan, mapping, ())
    if alone:
        raise TrafficError(f"only `replay_files` replays it, since {alone}")
    if place is not None and place not in columns:
        raise TrafficError(f"`{name}` has no column `{place}` for `place`")
    fields = dict.fromkeys((*mapping.columns, *mapping.constants))
    attributes = tuple(item.removeprefix(ATTRIBUTE) for item in fields if item.startswith(ATTRIBUTE))
    sharing = sharing_of(plan, settings)
    return Task(plan, mapping, settings, name, 1 if sharing.whole else parts, place, sharing, attributes,
                _absent(mapping, columns))  # fmt: skip


_SOURCES: Final = {"id": ("id",), "cost": ("cost",), "tier": ("service_tier", "usage"), "others": ("usage",)}
_PARTS: Final = tuple(name for name in COUNTS if name not in ("prompt_tokens", "output_tokens"))


def _absent(mapping: ColumnMapping, columns: Collection[str]) -> frozenset[str]:
    """Return the columns of a batch whose fields the traffic does not have."""

    def there(*fields: str) -> bool:
        options = [option for name in fields if name in mapping.columns for option in mapping.columns[name].split("|")]
        found = any(option in columns or is_inside(option, columns) for option in options)
        return found or any(name in mapping.constants for name in fields)

    recorded = () if there("usage", *_PARTS) else tuple(f"{RECORDED}{bucket}" for bucket in BUCKETS)
    return frozenset((*recorded, *(name for name, fields in _SOURCES.items() if not there(*fields))))


def _with_requests(mapping: ColumnMapping, columns: Collection[str], plan: Plan) -> ColumnMapping:
    """Return the mapping with the columns ``request.NAME`` of attributes, where it reads them unmapped."""
    names = [f"{ATTRIBUTE}{name}" for name in plan.attributes] if mapping.requests else []
    found = {
        name: name for name in names
        if name in columns and name not in mapping.columns and name not in mapping.constants
        and name not in mapping.repeated
    }  # fmt: skip
    return replace(mapping, columns={**mapping.columns, **found}) if found else mapping
