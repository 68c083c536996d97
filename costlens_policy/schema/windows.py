"""A budget with several windows, read as a budget for each of them.

It is done on values that know their place, before they have a type: whatever is said of one of these budgets stands
where it is written. A budget that is not written as it has to be is left as it is, so that its schema reports why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from costlens_policy.documents.budget import BudgetWindow
from costlens_policy.source.located import LocatedDocument, LocatedValue

__all__ = ["with_windows_apart"]

_WINDOWS: Final = "windows"
_OF_ONE: Final = frozenset(BudgetWindow.model_fields) - {"id", "thresholds", "reason"}
"""Keys that stand in each window, and not beside ``windows``."""


def with_windows_apart(located: LocatedDocument) -> LocatedDocument:
    """Return a document with a budget in place of each window of a budget that has several."""
    budgets = located.root.find(("budgets",))
    if budgets is None or all(budget.find((_WINDOWS,)) is None for budget in budgets.items()):
        return located
    apart = replace(budgets, content=tuple(one for budget in budgets.items() for one in _apart(budget)))
    entries = (replace(entry, value=apart) if entry.value is budgets else entry for entry in located.root.entries())
    return replace(located, root=replace(located.root, content=tuple(entries)))


def _apart(budget: LocatedValue) -> Iterator[LocatedValue]:
    windows, name = budget.find((_WINDOWS,)), _name(budget)
    items = () if windows is None else tuple(windows.items())
    if not items or name is None or not all(map(_is_window, items)) or any(budget.find((key,)) for key in _OF_ONE):
        yield budget
        return
    for item in items:
        own = {entry.key: entry for entry in item.entries()}
        id = replace(own["id"], value=replace(own["id"].value, content=f"{name}.{_name(item)}", offsets=None))
        shared = [entry for entry in budget.entries() if entry.key not in ({_WINDOWS} | own.keys())]
        yield replace(item, content=(id, *shared, *(own[key] for key in own if key != "id")))


def _is_window(item: LocatedValue) -> bool:
    return _name(item) is not None and all(entry.key in BudgetWindow.model_fields for entry in item.entries())


def _name(value: LocatedValue) -> str | None:
    found = value.find(("id",))
    return found.content if found is not None and isinstance(found.content, str) else None
