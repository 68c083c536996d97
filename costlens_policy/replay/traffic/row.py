"""Rows of traffic as replay needs them, and what keeps traffic from being read at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol

from costlens_policy.errors import CostlensPolicyError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:  # help reads the ready mappings, and does without prices
    from costlens_policy.catalogue import Usage

__all__ = ["BatchError", "MergeError", "Reject", "Row", "Rows", "StreamedTraffic", "Traffic", "TrafficError"]


class TrafficError(CostlensPolicyError):
    """The traffic, or the mapping of its columns, is unusable; after a semicolon the message suggests a remedy."""


class BatchError(TrafficError):
    """A batch is not as ``replay/columns/batch.py`` describes: a column is missing, unknown, or of another type."""


class MergeError(TrafficError):
    """Two states cannot be merged: the rows were not shared out as the policy set needs it."""


@frozen
class Row:
    """One recorded request.

    ``attributes`` are those of the request. ``prompt_tokens`` includes the cached part and is None where only texts
    were recorded; ``output_tokens`` is None where answers differ by model (``answers``, tokens by model). ``recorded``
    has the provider's buckets if the traffic has them, and ``logged_cost`` the cost according to the log. ``outcomes``
    has the quality of the answer by model, from 0 to 1. ``service_tier`` is the provider's name of the tier that served
    the call, and ``other_models`` is what the call used on further models, by name. ``cache_known`` is true if the log
    has the cached part of the prompt.
    """

    file: str
    number: int
    time: datetime
    id: str | None
    model: str | None
    session: str | None
    prompt_tokens: int | None
    output_tokens: int | None
    recorded: Usage | None
    logged_cost: Decimal | None
    prefix: tuple[Any, ...]
    attributes: Mapping[str, Any]
    outcomes: Mapping[str, float]
    answers: Mapping[str, int]
    service_tier: str | None = None
    other_models: tuple[tuple[str, Usage], ...] = ()
    cache_known: bool = False

    @property
    def place(self) -> str:
        return f"{self.file}:{self.number}"


@frozen
class Reject:
    """A row that is left out, as it stood in the file, and why."""

    file: str
    number: int
    problem: str
    text: str


@frozen
class Traffic:
    """All rows in time order. ``notes`` list what had to be assumed or was corrected."""

    rows: tuple[Row, ...]
    rejects: tuple[Reject, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]


class Rows(Protocol):
    """Rows that can be walked, again and again."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Row]: ...


@frozen
class StreamedTraffic:
    """As ``Traffic``, but that rows are not held in memory."""

    rows: Rows
    rejects: tuple[Reject, ...]
    files: tuple[str, ...]
    notes: tuple[str, ...]
