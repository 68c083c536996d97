"""Which column of the traffic holds which field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from difflib import get_close_matches
from typing import Any, Final, Literal

from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["COUNTS", "FIELDS", "TEXTS", "TOKENS", "ColumnMapping", "TimeUnit"]

TOKENS: Final = "tokens"
"""The field of a span that holds its ``SpanTokens``, and that no file has."""
TEXTS: Final = ("request.prompt", "request.messages")
"""Fields in which tokens can be counted."""
TimeUnit = Literal["iso", "s", "ms", "us", "ns"]

COUNTS: Final = (
    "prompt_tokens", "uncached_tokens", "cached_tokens", "cache_write_tokens", "cache_write_1h_tokens",
    "output_tokens", "reasoning_tokens", "total_tokens",
)  # fmt: skip
"""The fields of a row that hold counts."""
FIELDS: Final = ("time", "id", "model", "session", *COUNTS, "service_tier", "cost", "prefix", "usage")
"""What replay itself needs of a row.

``prompt_tokens`` includes what was read from and written to caches, ``output_tokens`` the reasoning; ``usage`` is a
provider's object and, in a row that has one, replaces the counts. ``request.NAME`` is an attribute of the request.
"""


@frozen
class ColumnMapping:
    """Which column of the traffic is which field: ``columns`` and ``constants`` are by field.

    A column can be a path (``usage.input_tokens``) and can have alternatives (``a|b``, the first one present).
    ``relative`` times are relative to the start of the replay. ``outcomes`` has, by model, the column with the quality
    of its answer, and ``answers`` the one with its text. ``block_tokens`` is the size of a block of ``prefix``.
    """

    name: str
    columns: Mapping[str, str]
    constants: Mapping[str, Any] = field(default_factory=dict)
    outcomes: Mapping[str, str] = field(default_factory=dict)
    answers: Mapping[str, str] = field(default_factory=dict)
    time_unit: TimeUnit = "iso"
    relative: bool = False
    block_tokens: int = 0
    drop: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Rows that have one of these values in a column are left out, and counted."""
    spans: bool = False
    transcripts: bool = False
    optional: bool = False
    """Whether rows may lack columns of the mapping itself. Those in ``named`` have to be there in any case."""
    timeless: bool = False
    """Whether rows may have no time."""
    summed: bool = False
    """Whether a row sums up several requests, so that prices by the length of a prompt are the highest there are."""
    named: tuple[str, ...] = ()
    """Fields whose columns the caller specified."""
    recognized: bool = False
    """Whether it was detected from the columns of the files."""
    repeated: tuple[str, ...] = ()
    """Columns that repeat others: objects of counts or amounts that are read elsewhere."""
    signature: tuple[str, ...] = ()
    """Columns by which files are recognized that this mapping is made for."""
    extras: Mapping[str, str] = field(default_factory=dict)
    """Where reports find what only they read: latency, the end of the call, labels."""
    sampled: str = ""
    """Column that rows have which are a sample: with it, the traffic is less than there was."""
    assumed: str = ""
    """Column that rows have whose tokens nobody reported: they are those by which the call was charged."""
    requests: bool = False
    """Whether columns `request.NAME` that the files begin with are read as attributes without being mapped."""
    about: str = ""
    """What a ready mapping is for, as shown in docs/replay.md."""

    def with_columns(self, columns: Mapping[str, str], constants: Mapping[str, Any]) -> ColumnMapping:
        """Return the mapping with further columns and constants.

        Raises ``TrafficError`` for an unknown field, and for one that would have no effect.
        """
        for name in (*columns, *constants):
            if name not in FIELDS and not name.startswith("request."):
                raise TrafficError(f"unknown field `{name}`{_meant(name)}")
        made = replace(
            self,
            columns={**self.columns, **columns},
            constants={**self.constants, **constants},
            named=tuple(dict.fromkeys((*self.named, *columns))),
        )
        counts = [name for name in made.named if name in COUNTS]
        if counts and "usage" in made.columns:
            if "usage" in made.named or self.columns.keys().isdisjoint(COUNTS):
                raise TrafficError(f"`usage` already contains the token counts; map either `usage` or `{counts[0]}`")
            made = replace(made, columns={name: item for name, item in made.columns.items() if name != "usage"})
        if "prefix" in made.columns and not made.block_tokens:
            raise TrafficError("`prefix` needs a block size; set `block_tokens` in a mapping file")
        return made


def _meant(name: str) -> str:
    close = get_close_matches(name, FIELDS, n=1)
    known = ", ".join(FIELDS)
    return f"; did you mean `{close[0]}`?" if close else f"; the fields are {known}, and `request.NAME` for attributes"
