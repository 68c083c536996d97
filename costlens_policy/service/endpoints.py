"""The endpoints: one row for each, and the function behind it. OpenAPI and the documentation are made from the rows."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, timedelta
from typing import Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct

import costlens_policy.client.wire as wire
import costlens_policy.service.answers as answers
from costlens_policy.checker.attributes import SIGNALS
from costlens_policy.clock import duration_of, system_now
from costlens_policy.compiler.plan import Plan
from costlens_policy.engine.decide import decide, models_for
from costlens_policy.engine.decision import Balance, Decision, DeniedError
from costlens_policy.engine.facts import Approval
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.guard import AsyncCall, AsyncGuard, GuardError
from costlens_policy.guard.shared import checked_lease
from costlens_policy.integrations.sdk.bodies import CHAT, EMBEDDINGS, MESSAGES, RESPONSES
from costlens_policy.integrations.sdk.bodies import Dialect as SdkDialect
from costlens_policy.integrations.sdk.calls import request_of_body
from costlens_policy.ledger import LedgerUnavailableError
from costlens_policy.live import LivePolicies
from costlens_policy.service.keys import Scope
from costlens_policy.service.metrics import Metrics
from costlens_policy.service.settings import Open
from costlens_policy.usage.reading import SHAPES

__all__ = ["ENDPOINTS", "Endpoint", "Serving"]

_Answer = TypeVar("_Answer")
_Body = TypeVar("_Body", bound=Struct)
_SDK_DIALECTS: Final = (CHAT, RESPONSES, EMBEDDINGS, MESSAGES)
_SHORT: Final = 20_000
"""Bytes of requests that are decided in the event loop without a look at the length of each."""
_IN_A_ROW: Final = 100
"""Decisions of a batch after which other requests get their turn: about a millisecond."""


@frozen(eq=False)
class Serving:
    """What endpoints work with. ``guard`` has the plan that decides, and the ledger."""

    guard: AsyncGuard
    policies: LivePolicies
    metrics: Metrics
    lease: timedelta
    trusts_signals: bool = False
    """Whether callers may give values of signals, in place of what would be worked out."""
    alone: dict[str, AsyncCall] = field(default_factory=dict)
    """Calls that only this worker counts, since the ledger cannot be reached."""
    key_problems: list[str] = field(default_factory=list)
    """Why the file of keys cannot be read, so that the keys stay as they were."""

    def keep(self, call: AsyncCall, lease: timedelta | None) -> None:
        """Keep a call that the ledger does not know. Where nobody settles it here, all that it holds is charged."""
        self.alone[call.id] = call
        seconds = (lease or self.lease).total_seconds()
        asyncio.get_running_loop().call_later(seconds, self._give_up, call)

    async def close(self) -> None:
        """Charge what nobody else knows of, write what waits for the ledger, and close it."""
        for call in list(self.alone.values()):
            self._give_up(call)
        self.policies.close()
        await self.guard.close()

    def _give_up(self, call: AsyncCall) -> None:
        if self.alone.get(call.id) is call:
            del self.alone[call.id]
            call.settle()


Work: TypeAlias = Callable[[Serving, Any], Awaitable[wire.Told]]


@frozen
class Endpoint(Generic[_Body]):
    """One path. ``scope`` is what a key needs, None any key; ``open`` is what lets it answer without one.

    The parameters of a GET are its ``body``, from the query.
    """

    method: str
    path: str
    summary: str
    scope: Scope | None
    body: type[_Body]
    answer: type[Struct]
    work: Work
    decoder: msgspec.json.Decoder[_Body]
    open: Open = Open.EVERYTHING
    denies: bool = False
    """Whether it answers a denial with 402 or 403."""
    calls: bool = False
    """Whether it is about a call by its id, which may be unknown or another."""


async def _decide(serving: Serving, body: wire.Decide) -> wire.Decided:
    return answers.decided(await _decision(serving, body), body.dialect)


async def _explain(serving: Serving, body: wire.Decide) -> wire.Explained:
    return await asyncio.to_thread(answers.explained, await _decision(serving, body))


async def _decision(serving: Serving, body: wire.Decide) -> Decision:
    _check_signals(serving, body.request)
    if body.balances is not None or body.now is not None:
        return await _supposed(serving, body, decide)
    decision = serving.guard.decide_at_once(body.request)
    if decision is None:
        decision = await serving.guard.decide(body.request)
    serving.metrics.decided(decision)
    return decision


def _check_signals(serving: Serving, request: Mapping[str, Any]) -> None:
    """Raise ``RequestError`` for values of signals from a caller who is not trusted with them."""
    if request.get(SIGNALS) is not None and not serving.trusts_signals:
        raise RequestError(
            (f"`{SIGNALS}` must not come from callers, since rules rest on them; `serve --trust-signals` takes them",)
        )


async def _supposed(serving: Serving, body: wire.Decide | wire.Models, answer: Callable[..., _Answer]) -> _Answer:
    """Answer on the balances and the time of the body: nothing that happened, so that no log or metric has it."""
    plan = serving.policies.plan_for(body.request)
    balances = _balances(plan, body.balances or ())
    try:
        now = system_now() if body.now is None else body.now.astimezone(UTC)
    except OverflowError:
        raise RequestError(("`now` must be in the years 1 to 9999 in UTC",)) from None
    return await asyncio.to_thread(answer, plan, body.request, balances, now)


def _balances(plan: Plan, given: Sequence[wire.BalanceGiven]) -> Mapping[tuple[str, str], Balance]:
    """Return supposed balances by the full ids of their budgets. Raises ``RequestError``."""
    known = plan.budgets
    problems = tuple(f"`balances`: there is no budget `{item.budget}`" for item in given if item.budget not in known)
    if problems:
        raise RequestError(problems)
    try:
        return {
            (known[item.budget][1].id, item.key): Balance(
                item.used,
                item.held,
                item.override,
                item.topup,
                item.started_at,
                tuple(item.recent.items()),
                tuple(Approval(given.threshold, given.up_to, given.expires_at) for given in item.approvals),
                tuple(item.earlier),
                item.set_aside,
                item.reserved,
            )
            for item in given
        }
    except ValueError as error:
        raise RequestError((f"`balances`: {error}",)) from None


async def _decide_batch(serving: Serving, body: wire.Batch) -> wire.BatchAnswer:
    guard, brief, dialect = serving.guard, body.brief, body.dialect
    short = len(answers.encode(body.requests)) <= _SHORT  # so that nobody has to look at each
    items: list[wire.BatchItem] = []
    decided: list[Decision] = []
    for number, request in enumerate(body.requests, 1):
        try:
            _check_signals(serving, request)
            decision = guard.decide_at_once(request, short=short)
            if decision is None:
                decision = await guard.decide(request)
        except RequestError as error:
            items.append(wire.BatchItem(False, None, (), "", None, error.problems))
        else:
            decided.append(decision)
            model, whole = decision.model, None if brief else answers.decided(decision, dialect)
            items.append(wire.BatchItem(model is not None, model, decision.fallbacks, decision.rule, whole))
        if number % _IN_A_ROW == 0:
            await asyncio.sleep(0)
    serving.metrics.decided(*decided)
    return wire.BatchAnswer(items)


async def _models(serving: Serving, body: wire.Models) -> wire.ModelsAnswer:
    _check_signals(serving, body.request)
    if body.balances is None and body.now is None:
        return answers.models_of(await serving.guard.models(body.request))
    return answers.models_of(await _supposed(serving, body, models_for))


async def _reserve(serving: Serving, body: wire.Reserve) -> wire.Reserved:
    """Every call gets an id of its own choosing or of ours, so that any worker can settle it as it was decided."""
    id, lease = body.id or secrets.token_hex(16), _lease(body.lease)
    sdk, request = _asked(body)
    _check_signals(serving, request)
    try:
        call = await serving.guard.call(request, id=id, lease=lease)
    except DeniedError as denied:
        serving.metrics.decided(denied.decision)
        raise
    decision, held = call.decision, _count_held(serving, call, lease)
    try:
        decided = answers.decided(decision, None if sdk is not None else body.dialect)
        if sdk is not None and body.body is not None:
            answers.write_bodies(decided, call, sdk, body.body)
    except GuardError:  # what was decided cannot be said in this dialect, so that nobody can send it
        if not call.repeated:
            await call.release()
        raise
    return wire.Reserved(id, call.expires_at, held, decided)


def _count_held(serving: Serving, call: AsyncCall, lease: timedelta | None) -> list[wire.HeldLine]:
    """Return what is held for a call. Who asks again for what is held counts once."""
    held = answers.held_lines(call.decision)
    if not call.repeated:
        if call.expires_at is None:
            serving.keep(call, lease)
        serving.metrics.decided(call.decision)
        serving.metrics.reserved(held, call.decision.balances)
    return held


async def _submit(serving: Serving, body: wire.Submit) -> wire.Submitted:
    for request in body.requests.values():
        _check_signals(serving, request)
    lease = _lease(body.lease)
    batch = await serving.guard.submit(body.requests, id=body.id, lease=lease, whole=body.whole)
    calls: dict[str, wire.Reserved] = {}
    refused = {item: answers.problem_of(error) for item, error in batch.refused.items()}
    for item, call in batch.calls.items():
        held = _count_held(serving, call, lease)
        try:
            decided = answers.decided(call.decision, body.dialect)
        except GuardError as error:  # what was decided cannot be said in this dialect, so that nobody can send it
            if not call.repeated:
                await call.release()
            refused[item] = answers.problem_of(error)
        else:
            calls[item] = wire.Reserved(call.id, call.expires_at, held, decided)
    serving.metrics.decided(*(error.decision for error in batch.refused.values() if isinstance(error, DeniedError)))
    return wire.Submitted(body.id, calls, refused)


async def _settle_batch(serving: Serving, body: wire.SettleBatch) -> wire.BatchSettled:
    settled = await serving.guard.settle_batch(body.id, body.results)
    for charged in settled.charged.values():
        serving.alone.pop(charged.call, None)
        serving.metrics.settled(charged)
    return answers.batch_settled(settled)


async def _end_run(serving: Serving, body: wire.EndRun) -> wire.RunEnded:
    await serving.guard.end_run(body.run)
    return wire.RunEnded(body.run)


def _asked(body: wire.Reserve) -> tuple[SdkDialect | None, dict[str, Any]]:
    """Return the request, and the dialect of the body that it was read from, if it was. Raises ``RequestError``."""
    if (body.request is None) == (body.body is None):
        raise RequestError(("give either `request` or `body`",))
    if body.request is not None:
        if body.attributes is not None:
            raise RequestError(("`attributes` go with `body`; a `request` has them in it",))
        if body.dialect == EMBEDDINGS.name:
            raise RequestError((f"`{EMBEDDINGS.name}` is a dialect of `body` only",))
        return None, body.request
    sdk = next((item for item in _SDK_DIALECTS if item.name == body.dialect), None)
    if sdk is None:
        known = ", ".join(f"`{item.name}`" for item in _SDK_DIALECTS)
        raise RequestError((f"`body` needs a `dialect` among {known}",))
    assert body.body is not None, "one of the two is given"
    if "costlens" in body.body:  # the wrappers of SDKs take it out; here it would be sent to the provider
        raise RequestError(("`costlens` must not be in a `body`, which is sent as it is; give `attributes` instead",))
    return sdk, request_of_body(body.body, sdk, body.attributes or {})


async def _settle(serving: Serving, body: wire.Settle) -> wire.Charge:
    if body.shape not in (None, *SHAPES):  # a typo must not cost all that is held
        raise RequestError((f"`shape` must be one of {', '.join(f'`{name}`' for name in SHAPES)}, got `{body.shape}`",))
    charged = await serving.guard.settle(
        body.id, body.usage, model=body.model, output_text=body.output_text, shape=body.shape
    )
    serving.alone.pop(body.id, None)
    serving.metrics.settled(charged)
    return answers.charge_of(charged)


async def _release(serving: Serving, body: wire.Release) -> wire.Released:
    await serving.guard.release(body.id)
    serving.alone.pop(body.id, None)
    return wire.Released(body.id)


async def _extend(serving: Serving, body: wire.Extend) -> wire.Extended:
    return wire.Extended(body.id, await serving.guard.extend(body.id, _lease(body.lease)))


def _lease(text: str | None) -> timedelta | None:
    """Return a lease. Raises ``RequestError``."""
    try:
        return None if text is None else checked_lease(duration_of(text))
    except (ValueError, GuardError) as error:
        raise RequestError((f"`lease`: {error}",)) from None


async def _spend(serving: Serving, body: wire.SpendQuery) -> wire.SpendAnswer:
    try:
        return answers.spends_of(await serving.guard.spend(body.budget, body.key))
    except GuardError as error:
        raise RequestError((str(error),)) from error.__cause__


async def _policies(serving: Serving, _: wire.Nothing) -> wire.PolicyList:
    return answers.policies_of(serving.policies.plan)


async def _health(serving: Serving, _: wire.Nothing) -> wire.Health:
    return wire.Health()


async def _ready(serving: Serving, _: wire.Nothing) -> wire.Ready:
    """Say what is wrong. Raises ``LedgerUnavailableError`` where calls are refused until the ledger is back.

    Policies that cannot be replaced go on serving, and an allowance lets calls through: neither takes the service away.
    """
    status, lost = serving.policies.status, not await serving.guard.ledger_answers()
    if lost and serving.policies.plan.defaults.allowance_usd is None:
        raise LedgerUnavailableError("the ledger cannot be reached")
    problems = ["the ledger cannot be reached, and an allowance counts what is spent"] if lost else []
    if not status.is_current:
        problems.append("a newer version of the policies was refused; the log of the service has the reason")
    if serving.key_problems:
        problems.append("the file of keys cannot be read, and the keys stay as they were; the log has the reason")
    return wire.Ready(status.policy_digest, problems)


def _endpoint(
    method: str,
    path: str,
    summary: str,
    scope: Scope | None,
    body: type[_Body],
    answer: type[Struct],
    work: Callable[[Serving, _Body], Awaitable[wire.Told]],
    **facts: Any,
) -> Endpoint[_Body]:
    return Endpoint(method, path, summary, scope, body, answer, work, msgspec.json.Decoder(body), **facts)


_DECIDE: Final = Scope.DECIDE
_SETTLE: Final = Scope.SETTLE

ENDPOINTS: Final[tuple[Endpoint[Any], ...]] = (
    _endpoint(
        "POST", "/v1/decide", "Decide a request, and hold nothing", _DECIDE, wire.Decide, wire.Decided, _decide
    ),
    _endpoint(
        "POST", "/v1/decide/batch", "Decide many requests, each by itself", _DECIDE, wire.Batch, wire.BatchAnswer,
        _decide_batch,
    ),
    _endpoint(
        "POST", "/v1/explain", "Decide a request, with its full record", _DECIDE, wire.Decide, wire.Explained,
        _explain,
    ),
    _endpoint(
        "POST", "/v1/models", "List which models may serve a request", _DECIDE, wire.Models, wire.ModelsAnswer,
        _models,
    ),
    _endpoint(
        "POST", "/v1/reserve", "Decide a call and hold its worst case", _SETTLE, wire.Reserve, wire.Reserved,
        _reserve, denies=True, calls=True,
    ),
    _endpoint(
        "POST", "/v1/settle", "Charge what a held call cost", _SETTLE, wire.Settle, wire.Charge, _settle, calls=True
    ),
    _endpoint(
        "POST", "/v1/release", "Give back what a call holds", _SETTLE, wire.Release, wire.Released, _release,
        calls=True,
    ),
    _endpoint(
        "POST", "/v1/extend", "Let the lease of a held call begin anew", _SETTLE, wire.Extend, wire.Extended,
        _extend, calls=True,
    ),
    _endpoint(
        "POST", "/v1/batch/submit", "Hold a batch at batch prices before it is handed in", _SETTLE, wire.Submit,
        wire.Submitted, _submit, denies=True, calls=True,
    ),
    _endpoint(
        "POST", "/v1/batch/settle", "Charge the items of a batch whose results are there", _SETTLE, wire.SettleBatch,
        wire.BatchSettled, _settle_batch,
    ),
    _endpoint(
        "POST", "/v1/runs/end", "End a run for every caller, and for good", _SETTLE, wire.EndRun, wire.RunEnded,
        _end_run,
    ),
    _endpoint(
        "GET", "/v1/spend", "Report what budgets have used, hold and have left", _SETTLE, wire.SpendQuery,
        wire.SpendAnswer, _spend,
    ),
    _endpoint(
        "GET", "/v1/policies", "Describe the policy set that decides", Scope.ADMIN, wire.Nothing, wire.PolicyList,
        _policies,
    ),
    _endpoint(
        "GET", "/health", "Report that the process answers", None, wire.Nothing, wire.Health, _health,
        open=Open.HEALTH,
    ),
    _endpoint(
        "GET", "/ready", "Report whether the service can do its work", None, wire.Nothing, wire.Ready, _ready,
        open=Open.HEALTH,
    ),
)  # fmt: skip
"""Beside them stand ``/metrics`` and ``/openapi.json``, whose answers are no JSON of these types."""
