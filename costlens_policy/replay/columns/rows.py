"""Rows that were read one by one, as a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from costlens_policy.catalogue.rates import BUCKETS
from costlens_policy.compiler.plan import Plan
from costlens_policy.expressions import BOOL, DOUBLE, INT, STRING, Type
from costlens_policy.money import plain
from costlens_policy.replay.columns.batch import ATTRIBUTE, MOST_TOKENS, RECORDED, micros, others_text
from costlens_policy.replay.columns.reads import SCALARS
from costlens_policy.replay.traffic.row import Row

__all__ = ["batch_of", "fits", "scalar_attributes", "schema_of"]

_TYPES: Final[Mapping[Type, Any]] = {STRING: pl.String, INT: pl.Int64, DOUBLE: pl.Float64, BOOL: pl.Boolean}
_CLASSES: Final[Mapping[Type, tuple[type, ...]]] = {STRING: (str,), INT: (int,), DOUBLE: (float,), BOOL: (bool,)}
_INT_MAX: Final = 2**63 - 1


def scalar_attributes(plan: Plan, names: Iterable[str]) -> bool:
    """Say whether all attributes of these names are declared, and are texts, numbers or truth values."""
    return all(name in plan.attributes and plan.attributes[name].type in SCALARS for name in names)


def schema_of(plan: Plan, attributes: Sequence[str]) -> dict[str, Any]:
    """Return the columns of batches that are made of rows."""
    return {
        "time": pl.Int64, "file": pl.Int32, "number": pl.Int64, "prompt": pl.Int64, "output": pl.Int64,
        "model": pl.String, "session": pl.String, "id": pl.String, "cost": pl.String,
        "tier": pl.String, "others": pl.String,
        **{f"{ATTRIBUTE}{name}": _TYPES[plan.attributes[name].type] for name in attributes},
        **{f"{RECORDED}{name}": pl.Int64 for name in BUCKETS},
    }  # fmt: skip


def fits(row: Row, plan: Plan) -> bool:
    """Say whether a batch can hold a row without loss: counted tokens, and nothing that is told by model or block."""
    if row.prompt_tokens is None or row.output_tokens is None or row.outcomes or row.answers or row.prefix:
        return False
    if max(row.prompt_tokens, row.output_tokens) > MOST_TOKENS:
        return False
    return all(
        name in plan.attributes
        and type(value) in _CLASSES.get(plan.attributes[name].type, ())
        and (type(value) is not int or abs(value) <= _INT_MAX)
        for name, value in row.attributes.items()
    )


def batch_of(rows: Sequence[Row], plan: Plan, attributes: Sequence[str], files: Callable[[str], int]) -> pl.DataFrame:
    """Return rows as a batch, in their order. ``files`` gives the index of a file by its name. Rows have to fit."""
    columns: dict[str, list[Any]] = {name: [] for name in schema_of(plan, attributes)}
    for row in rows:
        recorded = row.recorded
        cost = None if row.logged_cost is None else plain(row.logged_cost)
        values = (
            micros(row.time), files(row.file), row.number, row.prompt_tokens, row.output_tokens, row.model, row.session,
            row.id, cost, row.service_tier, others_text(row.other_models),
            *(row.attributes.get(name) for name in attributes),
            *(None if recorded is None else getattr(recorded, name) for name in BUCKETS),
        )  # fmt: skip
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    return pl.DataFrame(columns, schema=schema_of(plan, attributes))
