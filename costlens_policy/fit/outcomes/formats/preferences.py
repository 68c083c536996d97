"""Pairwise preferences: two models, and which answer was better. A win is a score of 1, a loss 0, a tie one half.

Shapes: `model_a`, `model_b` and `winner` (`model_a`, `model_b`, `tie`, `tie (bothbad)`, `both_bad`, or the name of a
model), as Chatbot Arena and MT-bench publish them, and flags such as `winner_model_a` and `winner_tie`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from costlens_policy.fit.outcomes.formats.format import Format, Opened
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.cells import text_of
from costlens_policy.replay.traffic.sources import RawRow, read_file

__all__ = ["PREFERENCES"]

_BY_FLAG: Final = {"winner_model_a": 1.0, "winner_model_b": 0.0, "winner_tie": 0.5}
_SHARES: Final = {
    **dict.fromkeys(("model_a", "a", "left", "1"), 1.0), **dict.fromkeys(("model_b", "b", "right", "2"), 0.0),
    **dict.fromkeys(("tie", "tie (bothbad)", "both_bad", "bothbad", "tie (both bad)", "draw"), 0.5),
}  # fmt: skip
_APART: Final = ("question_id", "id", "judge", "turn", "model_a", "model_b")
"""What tells two comparisons apart, where rows have an id."""


def _fits(file: Opened) -> bool:
    names = {*file.first, *file.header}
    return {"model_a", "model_b"} <= names and ("winner" in names or _BY_FLAG.keys() <= names)


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    for raw in read_file(file.name, joining.remarks.add):
        if raw.problem:
            yield raw
            continue
        fields, place = raw.fields, (raw.file, raw.number)
        first, second = (text_of(fields.get(name) or "") for name in ("model_a", "model_b"))
        share = _share(fields)
        if share is None or not first or not second or first == second:
            joining.rows += 1
            what = "comparisons of a model with itself" if first and first == second else "comparisons without a winner"
            joining.dropped.add(what, place)
            continue
        yield RawRow(raw.file, raw.number, {**fields, "scores": {first: share, second: 1 - share}, "id": _id(raw)})


def _share(fields: Mapping[str, Any]) -> float | None:
    """Return what the first model won of a comparison."""
    winner = fields.get("winner")
    if winner is not None and winner != "":
        if winner in (fields.get("model_a"), fields.get("model_b")):
            return 1.0 if winner == fields.get("model_a") else 0.0
        return _SHARES.get(str(winner).strip().lower())
    shares = [share for name, share in _BY_FLAG.items() if str(fields.get(name)).lower() in ("1", "1.0", "true")]
    return shares[0] if len(shares) == 1 else None


def _id(raw: RawRow) -> str:
    if raw.fields.get("question_id") is None and raw.fields.get("id") is None:
        return f"{raw.file}:{raw.number}"
    return ":".join(str(raw.fields[name]) for name in _APART if raw.fields.get(name) is not None)


PREFERENCES = Format(
    "preferences",
    "comparisons of two models: `model_a`, `model_b`, `winner`",
    _fits,
    _rows,
    {
        "id": "id", "task": "task|category", "prompt": "prompt|conversation_a", "scores": "scores",
        "time": "time|timestamp|tstamp",
    },
)  # fmt: skip
