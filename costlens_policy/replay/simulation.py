"""Replay row by row, in time order: decide, price, charge, and read and write prompt caches as providers do."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

from costlens_policy.catalogue import Usage, read_from
from costlens_policy.checker.attributes import WARM_TOKENS
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.access import DENIED_BY_DEFAULT
from costlens_policy.engine.decision import Alert, Balance, Decision
from costlens_policy.engine.facts import BalanceSeen, Exclusion
from costlens_policy.errors import RequestError
from costlens_policy.ledger.account import lease_end
from costlens_policy.ledger.amounts import SECOND, instant_of, micros
from costlens_policy.ledger.shares import lease_of
from costlens_policy.money import ZERO, subtract, total
from costlens_policy.periods import Period, periods_before, schedule_of
from costlens_policy.quantiles import LONGEST_TASK, CallKind, Measured, Ratios, band_of, ratio_of
from costlens_policy.replay.expected import Served, expected_of, is_measured
from costlens_policy.replay.judged import Answer
from costlens_policy.replay.recognized import recognition_of
from costlens_policy.replay.result import Outcome, Refused, Result
from costlens_policy.replay.settings import Settings, reads_caches
from costlens_policy.replay.traffic.row import Reject, Row, Traffic
from costlens_policy.replay.verdicts import Verdicts
from costlens_policy.runs import RUN
from costlens_policy.units import Unit
from costlens_policy.usage import Portion, ServiceTerms, count_tokens, period_of, price_each, rate_of

__all__ = ["Simulation", "answers_of", "errors_of", "price", "refusal_of", "rejected", "replay", "request_of"]

_NONE: Final = Usage()


def replay(
    plan: Plan,
    traffic: Traffic,
    settings: Settings,
    block_tokens: int = 0,
    tick: Callable[[], None] | None = None,
) -> Result:
    """Re-run every decision in time order. ``block_tokens`` is the size of a block of the rows' ``prefix``."""
    rejects = list(traffic.rejects)
    result = Result(settings, traffic.files, list(traffic.notes), rejects=rejects, rejected=len(rejects))
    simulation, baseline = Simulation(plan, settings, block_tokens), _Baseline(plan, settings, block_tokens)
    served, told, recognition = Served(), Served(), recognition_of(plan)
    for row in traffic.rows:
        try:
            outcome = simulation.step(row)
        except RequestError as error:
            result.reject(rejected(row, error))
        else:
            result.add(row, outcome, baseline.step(row))
            if outcome.model is not None:
                served[outcome.model, outcome.task] += 1
                if recognition is not None and outcome.task and not row.attributes.get("task"):
                    told[outcome.model, outcome.task] += 1
        if tick is not None:
            tick()
    result.shared = simulation.verdicts.shared
    result.expected = expected_of(served, plan.catalogue, told, recognition)
    return result


def rejected(row: Row, error: RequestError) -> Reject:
    """Return a row that the policy set does not accept as one that is left out."""
    shown: Sequence[tuple[str, object]] = (("model", row.model), ("id", row.id), *row.attributes.items())
    text = ", ".join(f"{name}={value}" for name, value in shown if value is not None)
    return Reject(row.file, row.number, str(error), text[:500])


class Simulation:
    """The state of a replay: balances, caches, and decisions that can be shared."""

    __slots__ = ("_asks_caches", "_book", "_budgets", "_caches", "_history", "_measured", "_plan", "verdicts")

    def __init__(self, plan: Plan, settings: Settings, block_tokens: int = 0) -> None:
        self._plan = plan
        self._budgets = bool(plan.budgets)
        self._measured = is_measured(plan)
        self._book = _BalanceBook(plan)
        self._history = _History(plan)
        self._caches = _PromptCaches(settings, block_tokens)
        self._asks_caches = reads_caches(plan, settings)
        self.verdicts = Verdicts(plan)

    def step(self, row: Row) -> Outcome:
        """Return what becomes of the next request. Raises ``RequestError`` where the policy set cannot accept it."""
        return self.settle(row, self.decide(row))

    def decide(self, row: Row) -> Decision:
        """Decide the next request; nothing is charged yet. Raises ``RequestError``."""
        self._book.now, self._book.run = row.time, row.attributes.get(RUN)
        request = request_of(row, self._plan)
        if self._asks_caches and WARM_TOKENS not in request and (warm := self._caches.warm(row)):
            request[WARM_TOKENS] = warm
        return self.verdicts.decide(request, self._book, row.time, self._history.known)

    def settle(self, row: Row, decision: Decision) -> Outcome:
        """Price and charge the request that was decided last."""
        if decision.model is None:
            return self._refused(decision, row)
        model = decision.model
        prompt, output = _prompt(decision, row), _output(row, model)
        usage = self._caches.usage(row, model, _canonical(row.model, self._plan), prompt, output)
        cost, written = price(self._plan, model, usage, row)
        alerts = tuple(self._book.first_alerts(decision)) if decision.alerts else ()
        if self._budgets:
            self._book.charge(decision, usages_of(usage, row), cost)
        if self._plan.stages.quantiles:
            self._history.add(decision, usages_of(usage, row), cost)
        assert decision.estimate is not None
        return Outcome(
            model, decision.rule, "", "", usage, cost, written, alerts, decision.rewrites, errors_of(decision),
            output > decision.estimate.output_tokens,
            answers_of(row, self._plan, prompt), decision.task if self._measured else "",
        )  # fmt: skip

    def _refused(self, decision: Decision, row: Row) -> Outcome:
        refused = refusal_of(decision)
        return replace(refused, answers=answers_of(row, self._plan, row.prompt_tokens)) if row.outcomes else refused


class _Baseline:
    """What was recorded, priced by the same catalogue and with the same model of caches."""

    __slots__ = ("_caches", "_plan")

    def __init__(self, plan: Plan, settings: Settings, block_tokens: int = 0) -> None:
        self._plan = plan
        self._caches = _PromptCaches(settings, block_tokens)

    def step(self, row: Row) -> Decimal | None:
        """Return the cost of the next request on its recorded model; None where it has none that has a price.

        What does not fit the recorded model's window has no cost either: it cannot have been served so.
        """
        known = None if row.model is None else self._plan.catalogue.find(row.model)
        if known is None or row.prompt_tokens is None:
            return None
        output = row.output_tokens or 0
        if known.context_window is not None and row.prompt_tokens + output > known.context_window:
            return None
        usage = self._caches.usage(row, known.name, known.name, row.prompt_tokens, output)
        return price(self._plan, known.name, usage, row)[0]


def request_of(row: Row, plan: Plan) -> dict[str, Any]:
    """Return the request of a row as the engine is given it."""
    request = dict(row.attributes)
    if row.prompt_tokens is not None:
        request.setdefault("prompt_tokens", row.prompt_tokens)
    if row.model is not None and "model" in plan.attributes:
        request.setdefault("model", _canonical(row.model, plan))
    if row.id is not None and plan.reads_id:
        request.setdefault("id", row.id)
    return request


def answers_of(row: Row, plan: Plan, prompt: int | None) -> dict[str, Answer]:
    """Return the answers whose quality was recorded, by the catalogue's own names of their models.

    Each is priced without caches, for a prompt of so many tokens; None has no price.
    """

    def cost(name: str) -> Decimal | None:
        return None if prompt is None else price(plan, name, Usage(input=prompt, output=_output(row, name)), row)[0]

    return {_named(name, plan): Answer(right, cost(name)) for name, right in row.outcomes.items()}


def _named(name: str, plan: Plan) -> str:
    known = plan.catalogue.find(name)
    return name if known is None else known.name


def _canonical(name: str | None, plan: Plan) -> str | None:
    """Return the catalogue's own name of a model, or the same where the catalogue does not list it."""
    return None if name is None else _named(name, plan)


def price(plan: Plan, name: str, usage: Usage, row: Row) -> tuple[Decimal | None, Decimal]:
    """Return what a call costs on a model at the time of the row and on its terms, and the answer's part of that.

    What the call used on further models is part of it. None for a model that has no price then.
    """
    model = plan.catalogue.find(name)
    period = None if model is None else period_of(model, row.time)
    if model is None or period is None:
        return None, ZERO
    terms = ServiceTerms.of(row.service_tier)
    rate = rate_of(model, period, usage, terms)
    cost = rate.cost(usage)
    if row.other_models:
        portions = [Portion(name, Usage(), terms), *(Portion(*item, terms) for item in row.other_models)]
        others = list(price_each(plan.catalogue.find, portions, row.time))[1:]
        cost = total((cost, *(item.cost for _, item in others if item.cost is not None)))
    return cost, subtract(rate.cost(_answer_of(usage)), rate.rates.usd_per_request)


def _answer_of(usage: Usage) -> Usage:
    """Return the tokens of the answer alone."""
    return Usage(
        output=usage.output, reasoning=usage.reasoning, output_audio=usage.output_audio,
        output_image=usage.output_image,
    )  # fmt: skip


def usages_of(usage: Usage, row: Row) -> tuple[Usage, ...]:
    """Return the tokens of a call, and those that it used on further models."""
    return usage, *(more for _, more in row.other_models)


def refusal_of(decision: Decision) -> Outcome:
    """Return what becomes of a request that was denied, and why."""
    kind: Refused = "access"
    rule = decision.rule
    reason = decision.reasons[-1] if decision.reasons else ""
    if decision.excluded:
        kind, item = _excluding(decision)
        rule, reason = (rule if kind == "unservable" else item.by or "default"), item.reason
    elif decision.errors:
        kind = "error"
    return Outcome(None, rule or "default", kind, reason, _NONE, ZERO, errors=errors_of(decision))


def _excluding(decision: Decision) -> tuple[Refused, Exclusion]:
    """Return what kept all candidates from serving: a budget, else an access rule, else what they are."""
    plan, excluded = decision.plan, decision.excluded
    for item in excluded:
        if item.by in plan.budget_ids:
            return "budget", item
    access = {step.id for _, step in plan.stages.access_by_model}
    for item in excluded:
        if item.by in access or item.reason == DENIED_BY_DEFAULT:
            return "access", item
    return "unservable", excluded[0]


def errors_of(decision: Decision) -> tuple[str, ...]:
    """Return the rules whose expressions failed, each with its message."""
    return tuple(f"{item.rule}: {item.message}" for item in decision.errors)


def _prompt(decision: Decision, row: Row) -> int:
    """Return the tokens of the prompt as it is sent. A shared decision was made of another row's tokens."""
    assert decision.estimate is not None
    if row.prompt_tokens is not None and not decision.changes:
        return row.prompt_tokens
    return decision.estimate.prompt_tokens


def _output(row: Row, model: str) -> int:
    """Return the length of the answer; of another model's answer where this one's was not recorded."""
    if row.output_tokens is not None:
        return row.output_tokens
    return row.answers.get(model) or max(row.answers.values())


_Key = tuple[str, str]
_ONE: Final = Decimal(1)

_NOTHING = Balance()


class _SetAside(NamedTuple):
    """What is left of what an account has set aside for another one."""

    left: Decimal
    ends_at: datetime


class _BalanceBook(Mapping[_Key, Balance]):
    """Balances by budget and scope key as the engine asks for them. Set ``now`` before each decision.

    Nothing is held, as each call is over at once; but what is set aside for budgets that are reserved from others is.
    """

    __slots__ = (
        "_accounts", "_alerted", "_begun", "_measured", "_owners", "_recent", "_reserving", "_rolling", "_schedules",
        "_shares", "_steps", "_windows", "now", "run",
    )  # fmt: skip

    def __init__(self, plan: Plan) -> None:
        steps = {step.id: step for _, step in plan.budgets.values()}
        self.now = datetime(1970, 1, 1, tzinfo=UTC)
        self._steps = {name: (step, schedule_of(step.terms)) for name, step in steps.items() if step.carry_over}
        """Budgets that carry over, and schedules to ask for earlier periods."""
        self._schedules = {name: step.schedule for name, step in steps.items()}
        self._accounts: dict[tuple[str, str, str], Decimal] = {}
        self._rolling: dict[tuple[str, str, str], deque[tuple[datetime, Decimal]]] = {}
        self._measured = {name: step.recent for name, step in steps.items() if step.recent}
        self._recent: dict[tuple[tuple[str, str, str], str], deque[tuple[datetime, Decimal]]] = {}
        self._alerted: set[tuple[str, str, str, str]] = set()
        self.run: str | None = None
        """The run of the call that is decided."""
        self._begun: set[tuple[tuple[str, str, str], str]] = set()
        """Accounts and the runs that they count."""
        self._windows: dict[tuple[str, str, str], datetime] = {}
        """When windows from first use began."""
        self._reserving = {name: step for name, step in steps.items() if step.reserved_from}
        self._shares: dict[tuple[str, str, str], dict[tuple[str, str, str], _SetAside]] = {}
        """By account, what is set aside there for others."""
        self._owners: dict[tuple[str, str, str], tuple[str, str, str]] = {}
        """Where what is set aside for an account was set aside last."""

    def __getitem__(self, key: _Key) -> Balance:
        balance = self._without_shares(key)
        return self._with_shares(key, balance) if self._shares else balance

    def _with_shares(self, key: _Key, balance: Balance) -> Balance:
        """Add what is set aside in the current account of a budget, and for it."""
        period = self._schedules[key[0]].at(self.now)
        if period is None:
            return balance
        account = (*key, period.id)
        shares = self._shares.get(account, {})
        for owner in [owner for owner, share in shares.items() if share.ends_at <= self.now]:
            del shares[owner]
        own = self._share_of(account)
        aside = total(share.left for share in shares.values())
        return balance if not shares and own is None else replace(balance, held=aside, set_aside=aside, reserved=own)

    def _share_of(self, account: tuple[str, str, str]) -> Decimal | None:
        """Return what is left of what is set aside for an account; None where nothing is."""
        share = self._shares.get(self._owners.get(account, account), {}).get(account)
        return None if share is None or share.ends_at <= self.now else share.left

    def _set_aside(self, decision: Decision, before: Mapping[str, Decimal]) -> None:
        """Let shares begin with the call, and take what it cost off those that go on. ``before`` is what was used."""
        counted = {seen.budget: seen for seen in decision.balances}
        for name, seen in counted.items():
            step = self._reserving.get(name)
            of = None if step is None else counted.get(step.reserved_from)
            if step is None or of is None:
                continue
            account, whole = self._account(seen), self._account(of)
            left = self._share_of(account) if self._owners.get(account) == whole else None
            if left is None:
                self._shares.get(self._owners.get(account, whole), {}).pop(account, None)
                self._owners[account] = whole
                left = max(ZERO, subtract(seen.limit, before[name]))
            cost = subtract(self._accounts.get(account, ZERO), before[name])
            lease = lease_of(step.reserved_for, self.now, self._schedules[name].at(self.now))
            ends_at = instant_of(lease_end(micros(self.now), lease) * SECOND)
            self._shares.setdefault(whole, {})[account] = _SetAside(max(ZERO, subtract(left, cost)), ends_at)

    def _account(self, seen: BalanceSeen) -> tuple[str, str, str]:
        period = self._schedules[seen.budget].at(self.now)
        return seen.budget, seen.key, "" if period is None else period.id

    def _without_shares(self, key: _Key) -> Balance:
        period = self._schedules[key[0]].at(self.now)
        if period is None:
            return _NOTHING
        account = (*key, period.id)
        if period.rolling is not None:
            self._forget(account, period)
        elif period.first_use is not None and (started_at := self._began(account, period)) is not None:
            lately = tuple(self._lately(account)) if key[0] in self._measured else ()
            return Balance(self._accounts.get(account, ZERO), started_at=started_at, recent=lately)
        used = self._accounts.get(account, ZERO)
        if used and self.run is not None and (account, self.run) in self._begun:
            used = subtract(used, _ONE)  # a run counts once
        earlier = self._earlier(key, period) if key[0] in self._steps else ()
        if not used and not earlier:
            return _NOTHING
        lately = tuple(self._lately(account)) if key[0] in self._measured else ()
        return Balance(used, recent=lately, earlier=earlier)

    def _lately(self, account: tuple[str, str, str]) -> Iterator[tuple[str, Decimal]]:
        """Yield what was charged lately, over each time that the budget measures."""
        for text, span in self._measured[account[0]].items():
            charges = self._recent.get((account, text))
            while charges and charges[0][0] <= self.now - span:
                charges.popleft()
            if charges:
                yield text, total(amount for _, amount in charges)

    def _earlier(self, key: _Key, period: Period) -> tuple[Decimal, ...]:
        """Return what earlier periods have used that count for what is carried over, the latest first."""
        step, schedule = self._steps[key[0]]
        assert step.carry_over is not None
        before = periods_before(schedule, period, step.carry_over.periods)
        used = [self._accounts.get((*key, item.id), ZERO) for item in before]
        return step.carry_over.counted(used, [item.starts_at for item in before])

    def __iter__(self) -> Iterator[_Key]:
        return iter({(budget, key) for budget, key, _ in self._accounts})

    def __len__(self) -> int:
        return len({(budget, key) for budget, key, _ in self._accounts})

    def charge(self, decision: Decision, usages: Sequence[Usage], cost: Decimal | None) -> None:
        """Add a call to every budget that it counts against. ``cost`` is None where the model has no price."""
        seen_now = decision.balances if self._reserving else ()
        before = {seen.budget: self._accounts.get(self._account(seen), ZERO) for seen in seen_now}
        for seen in decision.balances:
            period = self._schedules[seen.budget].at(self.now)
            amount = _amount(seen.unit, usages, cost)
            if period is None:
                continue
            account = (seen.budget, seen.key, period.id)
            if period.first_use is not None and self._began(account, period) is None:
                self._windows[account] = self.now
            if seen.unit == "runs" and self.run is not None:
                if (account, self.run) in self._begun:
                    continue
                self._begun.add((account, self.run))
            if not amount:
                continue
            self._accounts[account] = total((self._accounts.get(account, ZERO), amount))
            if period.rolling is not None:
                self._rolling.setdefault(account, deque()).append((self.now, amount))
            for text in self._measured.get(seen.budget, ()):
                self._recent.setdefault((account, text), deque()).append((self.now, amount))
        if self._reserving:
            self._set_aside(decision, before)

    def first_alerts(self, decision: Decision) -> list[Alert]:
        """Return the alerts that are due for the first time in their period."""
        fresh = []
        for alert in decision.alerts:
            period = self._schedules[alert.budget].at(self.now)
            if period is None:  # a budget on single calls alerts every time
                fresh.append(alert)
                continue
            if period.first_use is not None:
                period = period.begun(self._began((alert.budget, alert.key, period.id), period) or self.now)
            mark = (alert.budget, alert.key, period.alert_id(self.now), alert.threshold)
            if mark not in self._alerted:
                self._alerted.add(mark)
                fresh.append(alert)
        return fresh

    def _began(self, account: tuple[str, str, str], period: Period) -> datetime | None:
        """Return when the window from first use began that is in force; one that is over counts no more."""
        started_at = self._windows.get(account)
        if started_at is None or period.seen(started_at, self.now).starts_at is not None:
            return started_at
        del self._windows[account]
        self._accounts.pop(account, None)
        return None

    def _forget(self, account: tuple[str, str, str], period: Period) -> None:
        charges = self._rolling.get(account)
        assert period.rolling is not None
        start = self.now - period.rolling
        while charges and charges[0][0] <= start:
            self._accounts[account] = total((self._accounts[account], -charges.popleft()[1]))


class _History:
    """What the replayed calls have come to, for budgets that hold a quantile of that."""

    __slots__ = ("_plan", "_ratios", "known")

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ratios: dict[CallKind, Ratios] = {}
        self.known: dict[CallKind, Measured] = {}

    def add(self, decision: Decision, usages: Sequence[Usage], cost: Decimal | None) -> None:
        """Take in what a call has cost: all of its worst case where that is not known."""
        assert decision.model is not None, "what is charged was allowed"
        assert decision.estimate is not None, "what is charged was allowed"
        band = band_of(decision.estimate.output_tokens)
        for seen in decision.balances:
            step = self._plan.budgets[seen.budget][1]
            if step.hold is None or not 0 < len(decision.task) <= LONGEST_TASK:
                continue
            amount = seen.call if cost is None and seen.unit == "usd" else _amount(seen.unit, usages, cost)
            whole = [int(step.measure.rounded_up(item).scaleb(step.measure.digits)) for item in (amount, seen.call)]
            kind = CallKind(seen.budget, decision.model, decision.task, band)
            ratios = self._ratios.setdefault(kind, Ratios())
            ratios.add(ratio_of(*whole))
            self.known[kind] = ratios.measured(step.hold.quantile)


def _amount(unit: Unit, usages: Sequence[Usage], cost: Decimal | None) -> Decimal:
    if unit == "usd":
        return ZERO if cost is None else cost
    if unit in ("requests", "runs"):
        return _ONE
    return total(count_tokens(unit, usage) for usage in usages)


def _by_kind(recorded: Usage | None, prompt: int, output: int) -> Usage:
    """Return the tokens of a call of these lengths that no cache serves: those that were no text are none now."""
    if recorded is None:
        return Usage(input=prompt, output=output)
    sound = min(recorded.input_audio + recorded.cache_read_audio, prompt)
    images = min(recorded.input_image, prompt - sound)
    thought, spoken, drawn = recorded.reasoning, recorded.output_audio, recorded.output_image
    return Usage(
        input=prompt - sound - images, input_audio=sound, input_image=images, output=output - thought - spoken - drawn,
        reasoning=thought, output_audio=spoken, output_image=drawn,
    )  # fmt: skip


class _PromptCaches:
    """The caches of all sessions and models. Rows are asked for in time order."""

    __slots__ = ("_block_tokens", "_blocks", "_sessions", "_settings")

    def __init__(self, settings: Settings, block_tokens: int = 0) -> None:
        self._settings = settings
        self._block_tokens = block_tokens
        self._sessions: dict[str, dict[str, tuple[int, datetime]]] = {}
        self._blocks: dict[tuple[str, Any], datetime] = {}

    def usage(self, row: Row, model: str, recorded_model: str | None, prompt: int, output: int) -> Usage:
        """Return the buckets of a call on a model, and remember what its cache holds now.

        ``prompt`` and ``output`` are the tokens of the call as it is sent to this model. Only text is cached: recorded
        tokens of other kinds stay what they are.
        """
        plain = _by_kind(row.recorded, prompt, output)
        if not self._settings.cache:
            return plain
        if row.session is None and not row.prefix:
            same = row.recorded is not None and model == recorded_model and row.prompt_tokens == prompt
            return row.recorded if same and row.recorded is not None else plain
        if prompt < self._settings.cache_min_tokens:
            return plain
        read = self._read_blocks(row, model, prompt) if row.prefix else self._read_session(row, model, prompt)
        read, text = min(read, plain.input), plain.input
        if self._settings.long_lived:
            return plain._replace(input=0, cache_read=read, cache_write_1h=text - read)
        return plain._replace(input=0, cache_read=read, cache_write=text - read)

    def _read_session(self, row: Row, model: str, prompt: int) -> int:
        assert row.session is not None
        models = self._sessions.setdefault(row.session, {})
        held, ends = models.get(model, (0, row.time))
        models[model] = prompt, row.time + self._settings.cache_lifetime
        return read_from(held, prompt) if row.time < ends else 0

    def warm(self, row: Row) -> dict[str, int]:
        """Return what is warm of the session of a row, by model, as a guard would have told it."""
        models = self._sessions.get(row.session) if row.session is not None else None
        return {} if models is None else {name: held for name, (held, ends) in models.items() if row.time < ends}

    def _read_blocks(self, row: Row, model: str, prompt: int) -> int:
        """Read the leading blocks that any call of the model left behind: equal ids share everything before them."""
        alive, leading = 0, True
        ends = row.time + self._settings.cache_lifetime
        for block in row.prefix:
            key = (model, block)
            leading = leading and self._blocks.get(key, row.time) > row.time
            alive += leading
            self._blocks[key] = ends
        return min(alive * self._block_tokens, prompt)
