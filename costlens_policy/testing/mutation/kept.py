"""What is kept between runs: verdicts on the very same policies and suites, and else which case killed a mutant.

A verdict depends on all policies, prices and cases, and so it is taken over only where none of them has changed. Which
case killed a mutant is only where to begin: it is tried again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Final

from costlens_policy.assurance import Situation
from costlens_policy.clock import system_now
from costlens_policy.engine.decision import Balance
from costlens_policy.money import ZERO
from costlens_policy.saving.cache import installation
from costlens_policy.saving.files import Folder, chosen_folder
from costlens_policy.source.located import SourceText
from costlens_policy.testing.mutation.bench import Bench
from costlens_policy.testing.mutation.kills import Kill
from costlens_policy.testing.mutation.mutant import Mutant
from costlens_policy.testing.mutation.results import Fate, Verdict

__all__ = ["Kept"]

_KEPT: Final = (Fate.KILLED, Fate.SURVIVED, Fate.EQUIVALENT, Fate.UNTESTABLE, Fate.INVALID)


class Kept:
    """The verdicts of an earlier run on one policy set. What cannot be read, or is of another version, is not there."""

    def __init__(self, folder: Folder | None, name: str, whole: str) -> None:
        self._folder = folder
        self._name = name
        self._whole = whole
        found = _read(folder, name)
        self._same: bool = found.get("whole") == whole
        self._verdicts: Mapping[str, Any] = found.get("verdicts", {})

    @classmethod
    def of(cls, bench: Bench, sources: Mapping[str, SourceText], *, on: bool) -> Kept:
        """Return what is kept of a policy set and its cases; nothing where ``on`` is false, or there is no cache."""
        plan, folder = bench.tested.engine.plan, chosen_folder("mutants") if on else None
        files = sorted({case.file for case in bench.cases} | {d.located.source.name for d in bench.workshop.documents})
        texts = [(file, sources[file].text if file in sources else "") for file in files]
        cases = [case.name for case in bench.cases]
        parts = (installation(), plan.policy_digest, plan.catalogue_digest, str(system_now().date()), texts, cases)
        place = sha256(repr((bench.tested.file, [str(file) for file in files])).encode()).hexdigest()[:40]
        return cls(folder, place, sha256(repr(parts).encode()).hexdigest())

    def verdict(self, mutant: Mutant) -> Verdict | None:
        """Return what became of a mutant where nothing has changed since."""
        row = self._verdicts.get(mutant.key) if self._same else None
        try:
            return None if row is None else Verdict(mutant, Fate(row[0]), row[1], _kill(row[2]), judged=True)
        except (ValueError, KeyError, TypeError, IndexError):
            return None

    def killer(self, mutant: Mutant) -> str:
        """Return the name of the case that killed a mutant before, empty where none is known."""
        row = self._verdicts.get(mutant.key)
        return str(row[1]) if isinstance(row, list) and row[0] == Fate.KILLED else ""

    def write(self, verdicts: Iterable[Verdict]) -> None:
        """Keep the verdicts of this run, beside those on mutants that it was not about."""
        if self._folder is None:
            return
        rows = dict(self._verdicts) if self._same else {}
        for item in verdicts:
            if item.fate in _KEPT and item.judged:
                rows[item.mutant.key] = [item.fate, item.by, _row(item.kill)]
        content = json.dumps({"whole": self._whole, "verdicts": rows}, default=_tagged)
        self._folder.write(self._name, content.encode())


def _read(folder: Folder | None, name: str) -> Mapping[str, Any]:
    content = None if folder is None else folder.read(name)
    try:
        found = {} if content is None else json.loads(content, object_hook=_untagged)
    except (ValueError, RecursionError, ArithmeticError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("verdicts"), dict) else {}


def _row(kill: Kill | None) -> Any:
    if kill is None:
        return None
    balances = [
        [
            *place,
            item.used,
            item.held,
            item.override,
            item.topup,
            item.started_at,
            item.earlier,
            item.set_aside,
            item.reserved,
        ]
        for place, item in kill.situation.balances.items()
    ]
    return [kill.situation.request, balances, kill.situation.now, kill.expect, kill.shown, kill.before, kill.after]


def _kill(row: Any) -> Kill | None:
    if row is None:
        return None
    request, balances, now, expect, *texts = row
    situation = Situation(request, {(budget, key): _state(*amounts) for budget, key, *amounts in balances}, now)
    return Kill(situation, expect, *texts)


def _state(
    used: Decimal,
    held: Decimal,
    override: Any = None,
    topup: Any = ZERO,
    started_at: Any = None,
    earlier: Any = (),
    set_aside: Any = ZERO,
    reserved: Any = None,
) -> Balance:
    return Balance(used, held, override, topup, started_at, (), (), tuple(earlier), set_aside, reserved)


_TIME: Final = "\0time"
_AMOUNT: Final = "\0amount"


def _tagged(value: Any) -> Any:
    if isinstance(value, datetime):
        return {_TIME: value.isoformat()}
    if isinstance(value, Decimal):
        return {_AMOUNT: str(value)}
    return dict(value)


def _untagged(value: dict[str, Any]) -> Any:
    if _TIME in value:
        return datetime.fromisoformat(value[_TIME])
    return Decimal(value[_AMOUNT]) if _AMOUNT in value else value
