"""What explains a difference, worked out from both sides. Each cause names them; none is guessed.

The rules, in the order in which they are tried on what the ones before have left unexplained:

- ``tools``: lines for searches, containers and the like, which no token of the ledger pays for.
- ``unseen``: the ledger has no call, or fewer requests than are billed.
- ``cache-writes``: tokens written to caches, billed and not counted, or charged as plain input.
- ``tier``: the recorded calls cost what is billed at the prices of another service tier.
- ``prices``: they cost what is billed at the prices of the catalogue, and were charged at others.
- ``worst-case``: calls charged at the most that they could cost.
- ``unpriced``: calls that had no price when they were charged.
- ``tokens``: more tokens of some kinds are billed than recorded, and cost the difference.
- ``not-billed``: the ledger has requests that the invoice lacks.
- ``rounding``: each line of the invoice is rounded.

Two rules are about all rows together: ``ratio``, a discount or a rate, and ``days``, days of another zone.
The total has the causes of its rows, and ``remainder``: what rows within the tolerance add up to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from costlens_policy.catalogue import BUCKETS
from costlens_policy.catalogue.service_tiers import USUAL, tier_named
from costlens_policy.frozen import frozen
from costlens_policy.invoice.lines import BilledLine
from costlens_policy.invoice.recorded import Tally
from costlens_policy.money import ZERO, add, format_usd, plain, subtract, total

__all__ = ["Billed", "Cause", "causes_of", "constant_ratio", "shifted_days"]

_WRITES: Final = ("cache_write", "cache_write_1h")
_CLOSE: Final = Decimal("0.002")
"""How far ratios of rows may be from each other, as a part of them, to be one ratio."""
_FEWEST_ROWS: Final = 3
_FEWEST_DAYS: Final = 2


@frozen
class Cause:
    """``explains`` is the part of the difference in US dollars, None where a cause is about rows that cancel out.

    ``figures`` are what it follows from.
    """

    name: str
    text: str
    explains: Decimal | None
    figures: Mapping[str, Any]


@dataclass(slots=True)
class Billed:
    """The sum of lines of an invoice. ``usage`` is None where no line counts tokens, ``requests`` where none does."""

    amount: Decimal = ZERO
    lines: int = 0
    tools: Decimal = ZERO
    usage: list[int] | None = None
    requests: int | None = None
    by_kind: dict[str, Decimal] = field(default_factory=dict)
    by_tier: dict[str, Decimal] = field(default_factory=dict)
    rounding: Decimal = ZERO
    names: Counter[str] = field(default_factory=Counter)

    def include(self, line: BilledLine) -> None:
        """Add a line. Tokens of the lines of costs count only where they have some."""
        if line.amount is not None:
            self.lines += 1
            self.amount = add(self.amount, line.amount)
            if line.kind == "tool":
                self.tools = add(self.tools, line.amount)
            else:
                self.by_kind[line.kind_of_token] = add(self.by_kind.get(line.kind_of_token, ZERO), line.amount)
                tier = tier_named(line.tier or USUAL)
                self.by_tier[tier] = add(self.by_tier.get(tier, ZERO), line.amount)
            if line.digits is not None:
                self.rounding = add(self.rounding, Decimal(5).scaleb(-line.digits - 1))
        if line.usage is not None:
            self.usage = list(map(int.__add__, self.usage or [0] * len(BUCKETS), line.usage))
        if line.requests is not None:
            self.requests = (self.requests or 0) + line.requests
        if line.model:
            self.names[line.model] += 1

    def include_all(self, other: Billed) -> None:
        """Add another sum."""
        self.amount, self.lines = add(self.amount, other.amount), self.lines + other.lines
        self.tools, self.rounding = add(self.tools, other.tools), add(self.rounding, other.rounding)
        if other.usage is not None:
            self.usage = list(map(int.__add__, self.usage or [0] * len(BUCKETS), other.usage))
        if other.requests is not None:
            self.requests = (self.requests or 0) + other.requests
        for sums, more in ((self.by_kind, other.by_kind), (self.by_tier, other.by_tier)):
            for name, amount in more.items():
                sums[name] = add(sums.get(name, ZERO), amount)
        self.names.update(other.names)


@frozen
class _Case:
    """A difference and both of its sides. ``left`` is what no cause explains yet, ``allowed`` what need not be."""

    billed: Billed
    recorded: Tally
    left: Decimal
    allowed: Decimal

    def is_close(self, amount: Decimal) -> bool:
        return abs(subtract(self.left, amount)) <= self.allowed

    def is_part(self, amount: Decimal) -> bool:
        """Whether an amount can be a part of what is left."""
        return amount != 0 and (amount > 0) is (self.left > 0) and abs(amount) <= abs(self.left) + self.allowed


def causes_of(billed: Billed, recorded: Tally, difference: Decimal, allowed: Decimal) -> tuple[Cause, ...]:
    """Return what the difference is consistent with; the last cause is ``unexplained`` where a part remains."""
    found: list[Cause] = []
    left = difference
    for rule in _RULES:
        if abs(left) <= allowed and found:
            break
        cause = rule(_Case(billed, recorded, left, allowed))
        if cause is not None:
            found.append(cause)
            left = subtract(left, cause.explains or ZERO)
    if abs(left) > allowed:
        found.append(Cause("unexplained", f"{format_usd(_cents(left))} has no cause here", left, {"usd": plain(left)}))
    return tuple(found)


def _tools(case: _Case) -> Cause | None:
    if not case.is_part(case.billed.tools):
        return None
    amount = case.billed.tools
    charged = "which the ledger charges only if the catalogue has their fees"
    text = f"{format_usd(_cents(amount))} is for tools, such as searches, {charged}"
    return Cause("tools", text, amount, {"billed_usd": plain(amount)})


def _unseen(case: _Case) -> Cause | None:
    recorded, requests = case.recorded, case.billed.requests
    if case.left <= 0:
        return None
    if not recorded.calls:
        count = "" if requests is None else f"{requests:,} requests, "
        text = f"the ledger has no call here: {count}{format_usd(_cents(case.left))} never passed a guard, or no budget"
        return Cause("unseen", text, case.left, {"billed_requests": requests, "recorded_calls": 0})
    if requests is None or requests <= recorded.calls:
        return None
    more = requests - recorded.calls
    each = recorded.amount / recorded.calls
    figures = {
        "billed_requests": requests, "recorded_calls": recorded.calls, "usd_per_call": plain(round(each, 9)),
    }  # fmt: skip
    worth = _worth_of_surplus(case)
    explained = worth if worth is not None and case.is_part(worth) else round(each * more, 15)
    if not case.is_part(explained):
        return None
    text = (
        f"{more:,} more requests are billed ({requests:,}) than recorded ({recorded.calls:,}), as retries do, "
        f"or calls past the guard; they are worth {format_usd(_cents(explained))}"
    )
    return Cause("unseen", text, explained, figures)


def _surplus(case: _Case) -> dict[str, int] | None:
    """Return by how many tokens of each kind the invoice has more; None where it counts none."""
    if case.billed.usage is None:
        return None
    known = dict(zip(BUCKETS, case.recorded.usage, strict=True))
    billed = dict(zip(BUCKETS, case.billed.usage, strict=True))
    # Providers count reasoning as output in their reports.
    for side in (known, billed):
        side["output"] += side.pop("reasoning")
    return {kind: count for kind in billed if (count := billed[kind] - known[kind])}


def _rate(case: _Case, kind: str) -> Decimal | None:
    """Return what a token of a kind cost on average, on either side; None where neither knows."""
    recorded = case.recorded
    count = dict(zip(BUCKETS, recorded.usage, strict=True))[kind]
    if count and kind in recorded.by_kind:
        return recorded.by_kind[kind] / count
    billed = dict(zip(BUCKETS, case.billed.usage or [0] * len(BUCKETS), strict=True))[kind]
    return case.billed.by_kind[kind] / billed if billed and kind in case.billed.by_kind else None


def _worth_of_surplus(case: _Case, kinds: Sequence[str] = BUCKETS) -> Decimal | None:
    """Return what the surplus of some kinds costs; None where it is unknown."""
    surplus = _surplus(case)
    if not surplus:
        return None
    worth = ZERO
    for kind, count in surplus.items():
        if kind in kinds:
            rate = _rate(case, kind)
            if rate is None:
                return None
            worth = add(worth, round(rate * count, 15))
    return worth


def _cache_writes(case: _Case) -> Cause | None:
    """Tokens written to caches: not counted, charged nothing, or charged as input."""
    recorded = case.recorded
    surplus = _surplus(case)
    more = sum((surplus or {}).get(kind, 0) for kind in _WRITES)
    if more > 0 and (worth := _worth_of_surplus(case, _WRITES)) is not None and case.is_part(worth):
        text = (
            f"{more:,} tokens written to caches are billed and not recorded, worth {format_usd(_cents(worth))}: "
            "consistent with cache writes that the ledger does not count"
        )
        return Cause("cache-writes", text, worth, {"tokens": more, "usd": plain(worth)})
    billed = total(case.billed.by_kind.get(kind, ZERO) for kind in _WRITES)
    known = total(recorded.by_kind.get(kind, ZERO) for kind in _WRITES)
    if surplus is None and billed > known and case.is_close(subtract(billed, known)):
        text = (
            f"{format_usd(_cents(billed))} is billed for cache writes, {format_usd(_cents(known))} recorded: "
            "consistent with cache writes that the ledger does not count"
        )
        figures = {"billed_usd": plain(billed), "recorded_usd": plain(known)}
        return Cause("cache-writes", text, subtract(billed, known), figures)
    proper = recorded.repriced.get("standard")
    for way, what in (("writes as input", "charged as plain input"), ("writes free", "charged nothing")):
        other = recorded.repriced.get(way)
        if proper is None or other is None or abs(subtract(other, recorded.known)) > case.allowed:
            continue
        missing = subtract(proper, other)
        if case.is_part(missing):
            text = f"cache writes were {what}: {format_usd(_cents(missing))} less than their price"
            return Cause("cache-writes", text, missing, {"charged_usd": plain(other), "price_usd": plain(proper)})
    return None


def _tier(case: _Case) -> Cause | None:
    """The recorded calls, at the prices of another tier that comes to what is billed."""
    billed = sorted(tier for tier in case.billed.by_tier if tier != USUAL)
    for way, amount in sorted(case.recorded.repriced.items(), key=lambda item: item[0][5:] not in billed):
        if not way.startswith("tier "):
            continue
        gained = subtract(amount, case.recorded.known)
        if case.is_close(gained) and gained:
            name = way[5:]
            seen = f", and {format_usd(_cents(case.billed.by_tier[name]))} is billed at it" if name in billed else ""
            text = f"consistent with the prices of the service tier `{name}`, at which the calls cost this{seen}"
            figures = {"tier": name, "charged_usd": plain(case.recorded.known), "at_tier_usd": plain(amount)}
            return Cause("tier", text, gained, figures)
    return _unpriced_tier(case, billed)


def _unpriced_tier(case: _Case, billed: Sequence[str]) -> Cause | None:
    """All that is billed is at tiers that the prices do not have, and the ledger has charged usual ones."""
    unknown = [tier for tier in billed if f"tier {tier}" not in case.recorded.repriced]
    amount = total(case.billed.by_tier[tier] for tier in unknown)
    if not unknown or not case.recorded.calls or amount != subtract(case.billed.amount, case.billed.tools):
        return None
    names = ", ".join(f"`{tier}`" for tier in unknown)
    ratio = amount / case.recorded.amount if case.recorded.amount else ZERO
    text = (
        f"all of it is billed at the service tier {names}, at {ratio:.3f} of what is recorded: consistent with a tier "
        "whose prices the catalogue lacks"
    )
    figures = {"tiers": unknown, "billed_usd": plain(amount), "recorded_usd": plain(case.recorded.amount)}
    return Cause("tier", text, case.left, figures)


def _prices(case: _Case) -> Cause | None:
    proper = case.recorded.repriced.get("standard")
    if proper is None:
        return None
    gained = subtract(proper, case.recorded.known)
    if not gained or not case.is_close(gained):
        return None
    text = (
        f"at the prices of `--prices` the calls cost {format_usd(_cents(proper))}, and were charged "
        f"{format_usd(_cents(case.recorded.known))}: consistent with prices that have changed or were overridden"
    )
    figures = {"charged_usd": plain(case.recorded.known), "price_usd": plain(proper)}
    return Cause("prices", text, gained, figures)


def _worst_case(case: _Case) -> Cause | None:
    recorded = case.recorded
    if case.left >= 0 or not recorded.assumed or recorded.assumed_amount < abs(case.left) - case.allowed:
        return None
    text = (
        f"{recorded.assumed:,} calls are charged at the most that they could cost "
        f"({format_usd(_cents(recorded.assumed_amount))}): consistent with answers that cost less"
    )
    figures = {"calls": recorded.assumed, "charged_usd": plain(recorded.assumed_amount)}
    return Cause("worst-case", text, case.left, figures)


def _unpriced(case: _Case) -> Cause | None:
    recorded = case.recorded
    if case.left <= 0 or not recorded.unpriced:
        return None
    text = f"{recorded.unpriced:,} of {recorded.calls:,} calls had no price when they were charged"
    return Cause("unpriced", text, case.left, {"unpriced_calls": recorded.unpriced, "calls": recorded.calls})


def _tokens(case: _Case) -> Cause | None:
    worth, surplus = _worth_of_surplus(case), _surplus(case)
    if worth is None or surplus is None or not case.is_part(worth):
        return None
    shown = ", ".join(f"{count:+,} {kind.replace('_', ' ')}" for kind, count in surplus.items())
    text = f"the invoice counts other tokens ({shown}), worth {format_usd(_cents(worth))} at the prices of these calls"
    return Cause("tokens", text, worth, {"tokens": surplus, "usd": plain(worth)})


def _not_billed(case: _Case) -> Cause | None:
    recorded, requests = case.recorded, case.billed.requests
    if case.left >= 0 or not recorded.calls:
        return None
    if not case.billed.lines:
        text = f"nothing is billed here, and {recorded.calls:,} calls are recorded: they failed, or are billed later"
        return Cause("not-billed", text, case.left, {"recorded_calls": recorded.calls})
    if requests is None or requests >= recorded.calls:
        return None
    text = f"{recorded.calls:,} calls are recorded and {requests:,} requests billed: consistent with calls that failed"
    explained = max(case.left, -round(recorded.amount / recorded.calls * (recorded.calls - requests), 15))
    return Cause("not-billed", text, explained, {"recorded_calls": recorded.calls, "billed_requests": requests})


def _rounding(case: _Case) -> Cause | None:
    if not case.billed.rounding or abs(case.left) > case.billed.rounding:
        return None
    most = format_usd(_cents(case.billed.rounding))
    text = f"{case.billed.lines:,} lines are rounded to the cent, which makes up to {most} in all"
    return Cause("rounding", text, case.left, {"lines": case.billed.lines, "at_most_usd": plain(case.billed.rounding)})


_RULES: Final[tuple[Callable[[_Case], Cause | None], ...]] = (
    _rounding, _tools, _cache_writes, _tier, _unseen, _tokens, _prices, _worst_case, _unpriced, _not_billed,
)  # fmt: skip


def constant_ratio(amounts: Sequence[tuple[Decimal, Decimal]]) -> Cause | None:
    """Return the one ratio of billed to recorded that all rows share, as a discount or another rate makes it."""
    pairs = [(billed, recorded) for billed, recorded in amounts if billed > 0 and recorded > 0]
    if len(pairs) < max(_FEWEST_ROWS, len(amounts)):
        return None
    billed, recorded = total(pair[0] for pair in pairs), total(pair[1] for pair in pairs)
    whole = billed / recorded
    if abs(whole - 1) <= _CLOSE or any(abs(one / other / whole - 1) > _CLOSE for one, other in pairs):
        return None
    text = (
        f"each of {len(pairs):,} rows is billed at {whole:.4f} of what is recorded: consistent with contract prices, "
        "a discount, or another exchange rate"
    )
    return Cause("ratio", text, subtract(billed, recorded), {"ratio": f"{whole:.6f}", "rows": len(pairs)})


def shifted_days(
    billed: Mapping[Any, Decimal],
    recorded: Callable[[int], Mapping[Any, Decimal]],
    shifts: Sequence[int],
    covers: Callable[[Decimal, Decimal], bool],
) -> Cause | None:
    """Return the shift of the recorded calls, in half hours, after which every row is within the tolerance.

    Of several the smallest is named. The first and last day are compared, too, since calls beyond them are known. One
    row shows nothing: its calls could be moved out of it.
    """
    before = _beyond(billed, recorded(0), covers)
    with_costs = [at for at, amount in billed.items() if amount > 0]
    if not before or len(with_costs) < _FEWEST_DAYS:
        return None
    for shift in sorted(shifts, key=abs):
        moved = recorded(shift)
        if not _beyond(billed, moved, covers) and all(moved.get(at) for at in with_costs):
            return _shifted(shift, before)
    return None


def _shifted(best: int, before: int) -> Cause:
    hours = Decimal(best) / 2
    text = (
        f"if the calls were {abs(hours):g} hours {'later' if hours > 0 else 'earlier'}, every row would agree: "
        f"consistent with days that begin at {_offset(best)} in the invoice, or with a clock that is off"
    )
    return Cause("days", text, None, {"hours": f"{hours:g}", "rows_beyond": before})


def _beyond(
    billed: Mapping[Any, Decimal], recorded: Mapping[Any, Decimal], covers: Callable[[Decimal, Decimal], bool]
) -> int:
    every: set[Hashable] = {*billed, *recorded}
    return sum(not covers(subtract(billed.get(at, ZERO), recorded.get(at, ZERO)), billed.get(at, ZERO)) for at in every)


def _offset(half_hours: int) -> str:
    minutes = abs(half_hours) * 30
    return f"UTC{'+' if half_hours > 0 else '-'}{minutes // 60:02d}:{minutes % 60:02d}"


def _cents(amount: Decimal) -> Decimal:
    """Return an amount for people: to the cent, or to a millionth of a dollar where it is less than one."""
    return round(amount, 2) if abs(amount) >= 1 else round(amount, 6)
