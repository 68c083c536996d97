"""What the tools that a provider ran are charged: by their uses as reported, else by the most that was held."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Final, NamedTuple

from costlens_policy.engine.decision import Decision
from costlens_policy.engine.tool_fees import ToolTerms, tool_terms, use_of
from costlens_policy.guard.hold_facts import Recalled
from costlens_policy.money import ZERO, add
from costlens_policy.usage import Portion, ToolUses

__all__ = ["NO_FEES", "ToolCharge", "charge_tools"]


class ToolCharge(NamedTuple):
    """What tools cost in US dollars, their uses, and what is to be said about it."""

    fees: Decimal = ZERO
    uses: Mapping[str, int] = {}
    notes: tuple[str, ...] = ()


NO_FEES: Final = ToolCharge()
_UNTOLD: Final = ToolUses({}, is_all=False)


def charge_tools(decision: Decision, portion: Portion, *, asked: bool = True) -> ToolCharge:
    """Return the charge of the tools of a portion. ``asked``: it is of the model that was asked, with its tools."""
    model = decision.plan.catalogue.find(portion.model)
    fees = {} if model is None else model.usd_per_tool_use
    terms = tuple(_terms(decision, portion.model)) if asked else ()
    if not fees and not terms:
        return NO_FEES
    told, uses, notes = portion.tool_uses or _UNTOLD, dict[str, int](), list[str]()
    total = ZERO
    for name, fee, most in sorted(terms, key=_dearness, reverse=True):
        word = use_of(name)
        count = told.of(word)
        if count is None:
            count = (most or 0) * _completions(decision)
            if fee != ZERO:
                notes.append(_assumed(name, None if most is None else count))
        elif word in uses:  # counted with the dearer version that was offered beside it
            continue
        elif fee is None and count:
            notes.append(f"`{name}` was used {count:,} times, and the catalogue has no fee for it")
        uses[word] = uses.get(word, 0) + count
        total = add(total, (fee or ZERO) * count)
    for word, count in told.counts.items():  # what was used without being seen in the request
        fee = _fee_of(word, fees)
        if word in uses or not fee:
            continue
        if count is None:
            notes.append(f"how often `{word}` was used cannot be read, and nothing was held: no fee is charged for it")
        else:
            uses[word], total = count, add(total, fee * count)
    return ToolCharge(total, {word: count for word, count in uses.items() if count}, tuple(notes))


def _dearness(terms: ToolTerms) -> Decimal:
    return ZERO if terms.fee is None else terms.fee


def _completions(decision: Decision) -> int:
    """Return for how many completions each use was held."""
    return 1 if decision.estimate is None else decision.estimate.completions


def _fee_of(word: str, fees: Mapping[str, Decimal]) -> Decimal | None:
    """Return the fee of a use; the highest of the versions of a tool where none has that very name."""
    return fees.get(word, max((fee for name, fee in fees.items() if use_of(name) == word), default=None))


def _assumed(name: str, most: int | None) -> str:
    if most is None:
        return f"nobody reports how often `{name}` was used, and nothing bounds it: no fee is charged for it"
    return f"nobody reports how often `{name}` was used; it counts as {most:,} times, the most it may be"


def _terms(decision: Decision, model: str) -> Iterator[ToolTerms]:
    """Yield the tools that were offered to a model, with their fees: as the hold remembers them, if it was recalled."""
    if isinstance(decision, Recalled):
        yield from decision.tools_of(model)
        return
    found = decision.plan.catalogue.find(model)
    calls = [(decision.model, decision.tools, decision.params)]
    calls += [(call.model, call.tools, call.params) for call in decision.fallback_calls]
    known = next(((tools, params) for name, tools, params in calls if name == model), calls[0][1:])
    if found is not None:
        yield from tool_terms(found, *known)
