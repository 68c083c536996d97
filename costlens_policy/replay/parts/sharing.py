"""How rows can be shared out: by what a policy set's budgets and the caches of sessions have in common."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import BudgetStep
from costlens_policy.expressions.tree import Call, Literal, Name, Select
from costlens_policy.frozen import frozen
from costlens_policy.replay.columns.batch import ATTRIBUTE
from costlens_policy.replay.settings import Settings

__all__ = ["KeyColumn", "Sharing", "described", "sharing_of"]

_SESSION: Final = "session"


@frozen
class KeyColumn:
    """An attribute by which rows are shared out, and the text that stands for it where it is absent."""

    attribute: str
    otherwise: str = ""


@frozen
class Sharing:
    """Rows that agree in ``columns`` stay together; with ``whole``, all rows do. ``reasons`` are sentences.

    Without columns and not ``whole``, rows have nothing in common and can lie anywhere.
    """

    columns: tuple[KeyColumn, ...]
    whole: bool
    reasons: tuple[str, ...]

    def parts_of(self, frame: pl.DataFrame, count: int) -> pl.Series:
        """Return in which of so many parts each row lies; ``frame`` is a batch as the job takes it."""
        if self.whole or count == 1:
            return pl.repeat(0, frame.height, dtype=pl.Int32, eager=True)
        if not self.columns:
            return (frame["time"].hash() % count).cast(pl.Int32)
        names = [(f"{ATTRIBUTE}{column.attribute}", column.otherwise) for column in self.columns]
        keys = frame.select(
            (pl.col(name).cast(pl.String).fill_null(otherwise) if name in frame.columns else pl.lit(otherwise)).alias(
                name
            )
            for name, otherwise in names
        )
        if keys.height != frame.height:  # no row has any of them
            return pl.repeat(0, frame.height, dtype=pl.Int32, eager=True)
        return (keys.hash_rows() % count).cast(pl.Int32)


def sharing_of(plan: Plan, settings: Settings) -> Sharing:
    """Return how rows can be shared out so that every figure is that of all rows in order.

    Rows of one scope key of a budget count on one account, and turns of one session read one cache. What several
    budgets have in common keeps the accounts of each together. A session that lies in two parts all the same is found
    when parts are merged.
    """
    scopes: list[tuple[KeyColumn, ...]] = []
    reasons = []
    for name, step in {step.id: step for _, step in plan.budgets.values()}.items():
        if step.per_call:
            continue
        if step.scope is None:
            return _whole(f"budget `{name}` is one for all requests")
        columns = _columns(plan, step)
        if columns is None:
            return _whole(f"the scope of budget `{name}` is not an attribute alone")
        scopes.append(columns)
        reasons.append(f"budget `{name}` is by {_listed(columns)}")
    shared = [column for column in scopes[0] if all(column in other for other in scopes)] if scopes else []
    if scopes and not shared:
        return _whole("the scopes of the budgets have no attribute in common")
    if not scopes and settings.cache:
        return Sharing((KeyColumn(_SESSION),), False, ("turns of a session share a cache",))
    return Sharing(tuple(shared), False, tuple(reasons) or ("no row depends on another",))


def _whole(reason: str) -> Sharing:
    return Sharing((), True, (reason,))


def _columns(plan: Plan, step: BudgetStep) -> tuple[KeyColumn, ...] | None:
    """Return the attributes of which each has one value for all rows of a scope key; None where that is not clear."""
    assert step.scope is not None
    found = _attribute(step.scope.typed.root)
    if found is None:
        return None
    usual = dict(plan.filled_in).get(found.attribute)
    return (found if usual is None else KeyColumn(found.attribute, str(usual)),)


def _attribute(node: object) -> KeyColumn | None:
    """Return the attribute that a scope is, as it is or with a constant where it is absent."""
    otherwise = ""
    if isinstance(node, Call) and node.function == "orValue" and len(node.arguments) == 1:
        constant = node.arguments[0]
        if not isinstance(constant, Literal) or not isinstance(constant.value, str):
            return None
        node, otherwise = node.target, constant.value
    plain = isinstance(node, Select) and isinstance(node.operand, Name) and node.operand.name == "request"
    return KeyColumn(node.field, otherwise) if plain and isinstance(node, Select) else None


def _listed(columns: tuple[KeyColumn, ...]) -> str:
    return ", ".join(f"`{column.attribute}`" for column in columns)


def described(sharing: Sharing, count: int) -> Iterator[str]:
    """Yield how rows were shared out, as notes of a result."""
    why = "; ".join(sharing.reasons)
    if sharing.whole:
        yield f"all rows were replayed in one part, since {why}"
    elif sharing.columns:
        yield f"rows were shared out over {count} parts by {_listed(sharing.columns)}: {why}"
    else:
        yield f"rows were shared out over {count} parts, since {why}"
