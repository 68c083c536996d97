"""What travels over HTTP: each body of a request and of an answer as a type, from which OpenAPI is made.

``msgspec`` reads, checks and writes them in one pass. Unknown keys are refused, and so are keys that appear twice,
which it would let pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct, field

from costlens_policy.errors import InputError

__all__ = [
    "Alert", "Amount", "Answer", "BalanceGiven", "Batch", "BatchAnswer", "BatchItem", "BodyError", "BudgetCharge",
    "Call", "Charge", "Decide", "Decided", "Dialect", "Estimate", "Excluded", "Explained", "Extend", "Extended",
    "Health", "HeldLine", "Models", "ModelsAnswer", "Nothing", "PolicyLayer", "PolicyList", "Problem",
    "ProblemFacts", "Ready", "Release", "Released", "Reserve", "Reserved", "Settle",
    "SpendAnswer", "SpendLine", "SpendQuery", "read_body",
]  # fmt: skip

Amount: TypeAlias = Annotated[str, Meta(description="An exact decimal number, written as a string.")]
Dialect: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock"]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, description="The id of a call.")]
Lease: TypeAlias = Annotated[str, Meta(description="How long a call stays held, such as `10m`; at most `7d`.")]
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
Content: TypeAlias = Annotated[
    dict[str, Any], Meta(description="The request to decide: the attributes that the policy set declares.")
]

MOST_IN_BATCH: Final = 1000


class BodyError(InputError):
    """A body is not JSON, or not what the endpoint takes; the message says where."""


class _Given(Struct, forbid_unknown_fields=True):  # type: ignore[call-arg, unused-ignore]
    """What callers send."""


class _Told(Struct, gc=False):  # type: ignore[call-arg, unused-ignore]
    """What they get."""


class BalanceGiven(_Given):
    """The state of a budget to decide on instead of the ledger's."""

    budget: Annotated[str, Meta(description="`policy/budget`, or the budget's id where only one policy has it.")]
    key: str = ""
    used: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    override: Decimal | None = None
    topup: Decimal = Decimal(0)


class Decide(_Given):
    """A request to decide. With ``balances`` or ``now`` the ledger is not read: the answer is about a supposed case."""

    request: Content
    dialect: Dialect | None = None
    balances: list[BalanceGiven] | None = None
    now: Time | None = None


class Batch(_Given):
    """Requests to decide, each by itself: none sees the others."""

    requests: Annotated[list[Content], Meta(min_length=1, max_length=MOST_IN_BATCH)]
    dialect: Dialect | None = None


class Models(_Given):
    """A request of which is asked which models may serve it."""

    request: Content
    balances: list[BalanceGiven] | None = None
    now: Time | None = None


class Reserve(_Given):
    """A call to decide, and to hold its worst case for. The same ``id`` gives the same hold, however often asked."""

    request: Content
    id: Id | None = None
    lease: Lease | None = None
    dialect: Dialect | None = None


class Settle(_Given):
    """What a held call came to.

    ``usage`` is the usage that the provider reported, or the whole response that carries it. Without it,
    ``output_text`` estimates it; without either, all that was held is charged. ``model`` is who answered, where that is
    not the first model of the decision.
    """

    id: Id
    usage: dict[str, Any] | None = None
    model: str | None = None
    output_text: str | list[str] | None = None
    shape: str | None = None


class Release(_Given):
    """A held call that cost nothing."""

    id: Id


class Extend(_Given):
    """A held call that takes longer than its lease."""

    id: Id
    lease: Lease | None = None


class SpendQuery(_Given):
    """Which budgets: all of them, or one, or one scope key."""

    budget: str | None = None
    key: str | None = None


class Nothing(_Given):
    """A request without a body."""


class Estimate(_Told):
    """What a call costs if the model writes all the output it is allowed; None where there is no price."""

    cost_usd: Amount | None
    worst_cost_usd: Amount | None
    prompt_tokens: int
    output_tokens: int
    completions: int
    basis: str


class Call(_Told):
    """What to send to one model. ``arguments`` are those of an SDK, in the dialect that was asked for."""

    model: str
    provider: str | None
    prompt: str | None
    system: str | None
    messages: list[Any] | None
    params: dict[str, Any]
    estimate: Estimate
    arguments: dict[str, Any] | None


class Excluded(_Told):
    """A model that may not serve, and why. ``by`` is the budget or route that excluded it."""

    model: str
    reason: str
    by: str | None


class Alert(_Told):
    """An alert that is due with the call."""

    budget: str
    key: str
    at: Amount
    text: str


class Decided(_Told):
    """A decision. ``calls`` are the model to call and its fallbacks, in order, none where the request is denied."""

    allow: bool
    model: str | None
    fallbacks: list[str]
    rule: str
    reasons: list[str]
    calls: list[Call]
    excluded: list[Excluded]
    alerts: list[Alert]
    policy_digest: str
    catalogue_digest: str


class BatchItem(_Told):
    """A decision, or the problems of a request that the policy set does not accept."""

    decision: Decided | None
    problems: list[str]


class BatchAnswer(_Told):
    """The answers, in the order of the requests."""

    answers: list[BatchItem]


class Explained(_Told):
    """A decision with its record and all that it was made on, as `decision.v1.json` describes it."""

    allow: bool
    decision: dict[str, Any]


class ModelsAnswer(_Told):
    """Which models may serve, in order, and why each other one may not."""

    may_serve: list[str]
    excluded: list[Excluded]


class HeldLine(_Told):
    """What is held on one budget, in its unit."""

    budget: str
    key: str
    unit: str
    amount: Amount


class Reserved(_Told):
    """A call that may proceed. Where ``held`` is empty no budget counts it, and there is nothing to settle."""

    id: str
    expires_at: datetime | None
    held: list[HeldLine]
    decision: Decided


class BudgetCharge(_Told):
    """What a call was charged on one budget, in its unit, and what had been held for it there."""

    budget: str
    key: str
    unit: str
    amount: Amount
    held: Amount


class Charge(_Told):
    """The charge of a call.

    ``basis`` says where it comes from. ``late``: the hold had ended before. ``repeated``: it was settled already, and
    ``budgets`` says how. ``recorded``: the ledger has it; if not, the service writes it once the ledger is back.
    """

    id: str
    model: str
    basis: str
    cost_usd: Amount | None
    usage: dict[str, int] | None
    budgets: list[BudgetCharge]
    late: bool
    repeated: bool
    recorded: bool
    notes: list[str]


class Released(_Told):
    """What was held is given back, unless the call had been settled."""

    id: str


class Extended(_Told):
    """When the hold ends now."""

    id: str
    expires_at: datetime | None


class SpendLine(_Told):
    """The state of one budget and scope key in its current period, in the budget's unit."""

    budget: str
    key: str
    unit: str
    used: Amount
    held: Amount
    limit: Amount | None
    left: Amount | None
    starts_at: datetime | None
    resets_at: datetime | None
    shadow: bool
    changed_by_hand: bool


class SpendAnswer(_Told):
    """What budgets have used, hold and have left."""

    budgets: list[SpendLine]


class PolicyLayer(_Told):
    """One policy of the set, with the ids of its rules."""

    name: str
    version: str
    access: list[str]
    routes: list[str]
    rewrites: list[str]
    budgets: list[str]


class PolicyList(_Told):
    """The policy set that decides, and its models."""

    name: str
    version: str
    policy_digest: str
    catalogue_digest: str
    policies: list[PolicyLayer]
    models: list[str]


class Health(_Told):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(_Told):
    """Whether the service can do all that it is for. ``problems`` say what it cannot do."""

    ready: bool
    policy_digest: str
    problems: list[str] = field(default_factory=list)


class ProblemFacts(_Told):
    """What is wrong. ``type`` is one of the names that the SDKs of OpenAI and Anthropic know; ``code`` is ours."""

    message: str
    type: str
    code: str
    param: None
    rule: str | None
    budget: str | None
    key: str | None
    resets_at: datetime | None


class Problem(_Told):
    """Why a request is not answered with what it asked for."""

    type: Literal["error"]
    error: ProblemFacts


Answer: TypeAlias = (
    Decided | BatchAnswer | Explained | ModelsAnswer | Reserved | Charge | Released | Extended | SpendAnswer
    | PolicyList | Health | Ready
)  # fmt: skip

_Body = TypeVar("_Body", bound=_Given)
_KEY: Final = re.compile(rb'"\s*:')


def read_body(body: bytes, decoder: msgspec.json.Decoder[_Body]) -> _Body:  # type: ignore[type-var, unused-ignore]
    """Return a body as its type. Raises ``BodyError``."""
    try:
        read = decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise BodyError(_said(error)) from None
    except RecursionError:
        raise BodyError("the body is nested too deeply") from None
    if len(_KEY.findall(body)) != _keys_of(read):
        _refuse_repeated(body)
    return read  # type: ignore[no-any-return, unused-ignore]


def _said(error: msgspec.MsgspecError) -> str:
    text = str(error)
    text = text[:1].lower() + text[1:]
    return text if isinstance(error, msgspec.ValidationError) else f"the body must be JSON: {text}"


def _keys_of(read: _Given) -> int:
    """Return how many keys were read. Defaults count as well, which only leads to a closer look."""
    total = 0
    for name in read.__struct_fields__:
        value = getattr(read, name)
        if value is not None:
            total += 1
            if type(value) is dict or type(value) is list:
                total += _keys_inside(value)
    return total


def _keys_inside(value: dict[str, Any] | list[Any]) -> int:
    items: Iterable[Any] = value
    total = 0
    if type(value) is dict:
        items, total = value.values(), len(value)
    for item in items:
        if type(item) is dict or type(item) is list:
            total += _keys_inside(item)
    return total


def _refuse_repeated(body: bytes) -> None:
    """Look closely at a body that may hold a key twice: texts with quotes and colons lead here, too."""
    import json

    json.loads(body, object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen = set()
    for key, _ in pairs:
        if key in seen:
            raise BodyError(f"key `{key}` appears twice in one object")
        seen.add(key)
