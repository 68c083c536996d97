"""What travels over HTTP: each body of a request and of an answer as a type. OpenAPI is made from them.

Callers that send an unknown key are refused; what a newer service answers besides is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, TypeAlias

from msgspec import Meta, Struct, field

__all__ = [
    "MOST_IN_BATCH", "Alert", "Amount", "BalanceGiven", "Batch", "BatchAnswer", "BatchItem", "BatchSettled",
    "BudgetCharge", "Call", "Charge", "Decide", "Decided", "Dialect", "EndRun", "Estimate", "Excluded", "Explained",
    "Extend", "Extended", "Given", "Health", "HeldLine", "Models", "ModelsAnswer", "Nothing", "PolicyLayer",
    "PolicyList", "Problem", "ProblemFacts", "Ready", "Release", "Released", "Reserve", "Reserved", "RunEnded",
    "SdkDialect", "Settle", "SettleBatch", "SpendAnswer", "SpendLine", "SpendQuery", "Submit", "Submitted", "Told",
]  # fmt: skip

Amount: TypeAlias = Annotated[str, Meta(description="An exact decimal number, written as a string.")]
Dialect: TypeAlias = Literal["openai-chat", "openai-responses", "anthropic", "gemini", "bedrock"]
SdkDialect: TypeAlias = Literal[
    "openai-chat", "openai-responses", "openai-embeddings", "anthropic", "gemini", "bedrock"
]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200, description="The id of a call.")]
Lease: TypeAlias = Annotated[str, Meta(description="How long a call stays held, such as `10m`; at most `31d`.")]
Time: TypeAlias = Annotated[datetime, Meta(tz=True)]
Content: TypeAlias = Annotated[
    dict[str, Any], Meta(description="The request to decide: the attributes that the policy set declares.")
]

MOST_IN_BATCH: Final = 1000


class Given(Struct, forbid_unknown_fields=True):  # type: ignore[call-arg, unused-ignore]
    """What callers send."""


class Told(Struct, gc=False):  # type: ignore[call-arg, unused-ignore]
    """What they get."""


class ApprovalGiven(Given):
    """An approval to decide on: calls past a threshold of the budget, up to an amount used and held."""

    threshold: str
    up_to: Decimal
    expires_at: Time | None = None


class BalanceGiven(Given):
    """The state of a budget to decide on instead of the ledger's."""

    budget: Annotated[str, Meta(description="`policy/budget`, or the budget's id where only one policy has it.")]
    key: str = ""
    used: Decimal = Decimal(0)
    held: Decimal = Decimal(0)
    override: Decimal | None = None
    topup: Decimal = Decimal(0)
    started_at: datetime | None = None
    """When a window from first use began that is in force."""
    recent: Annotated[dict[str, Decimal], Meta(description="What was charged lately, by the length of time.")] = {}
    approvals: list[ApprovalGiven] = []
    earlier: list[Decimal] = []
    """What earlier periods have used, the latest first, for a budget that carries over."""
    set_aside: Decimal = Decimal(0)
    """What of `held` is set aside for budgets that are reserved from this one."""
    reserved: Decimal | None = None
    """What is left of what was set aside for this budget and scope key; null where nothing is."""


class Decide(Given):
    """A request to decide. With ``balances`` or ``now`` the ledger is not read: the answer is about a supposed case."""

    request: Content
    dialect: Dialect | None = None
    balances: list[BalanceGiven] | None = None
    now: Time | None = None


class Batch(Given):
    """Requests to decide, each by itself: none sees the others. ``brief`` answers have no ``decision``."""

    requests: Annotated[list[Content], Meta(min_length=1, max_length=MOST_IN_BATCH)]
    dialect: Dialect | None = None
    brief: bool = False


class Models(Given):
    """A request of which is asked which models may serve it."""

    request: Content
    balances: list[BalanceGiven] | None = None
    now: Time | None = None


class Reserve(Given):
    """A call to decide, and to hold its worst case for. The same ``id`` gives the same hold, however often asked.

    In place of ``request`` stands the ``body`` that an SDK would send in its ``dialect``, with ``attributes`` that say
    who asks for what; then ``arguments`` of the answer are the bodies to send.
    """

    request: Content | None = None
    body: dict[str, Any] | None = None
    attributes: dict[str, Any] | None = None
    id: Id | None = None
    lease: Lease | None = None
    dialect: SdkDialect | None = None


class Settle(Given):
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


class Submit(Given):
    """A batch to hold at batch prices before it is handed in: a call for each item, by the ids of its caller.

    Submitted again with the same ``id``, an item that is held is the same hold, so that a longer batch is submitted in
    parts. With ``whole`` all items are held or none.
    """

    id: Id
    requests: Annotated[dict[str, Content], Meta(min_length=1, max_length=MOST_IN_BATCH)]
    lease: Lease | None = None
    whole: bool = False
    dialect: Dialect | None = None


class SettleBatch(Given):
    """Results of a batch: the text of the provider's file, or its lines as objects."""

    id: Id
    results: str | Annotated[list[dict[str, Any]], Meta(max_length=MOST_IN_BATCH)]


class EndRun(Given):
    """A run that is over, with all runs within it, for every caller and for good."""

    run: Annotated[str, Meta(min_length=1, max_length=200, description="The path of the run.")]


class Release(Given):
    """A held call that cost nothing."""

    id: Id


class Extend(Given):
    """A held call that takes longer than its lease."""

    id: Id
    lease: Lease | None = None


class SpendQuery(Given):
    """Which budgets: all of them, or one, or one scope key."""

    budget: str | None = None
    key: str | None = None


class Nothing(Given):
    """A request without a body."""


class Estimate(Told):
    """What a call costs if the model writes all the output it is allowed; None where there is no price.

    ``likely_cost_usd`` takes into account what is likely in prompt caches, ``worst_cost_usd`` nothing of them.
    """

    cost_usd: Amount | None
    worst_cost_usd: Amount | None
    prompt_tokens: int
    output_tokens: int
    completions: int
    basis: str
    likely_cost_usd: Amount | None = None


class Call(Told):
    """What to send to one model. ``arguments`` are those of an SDK, in the dialect that was asked for."""

    model: str
    provider: str | None
    prompt: str | None
    system: str | None
    messages: list[Any] | None
    params: dict[str, Any]
    estimate: Estimate
    arguments: dict[str, Any] | None


class Excluded(Told):
    """A model that may not serve, and why. ``by`` is the budget or route that excluded it."""

    model: str
    reason: str
    by: str | None


class Alert(Told):
    """An alert that is due with the call."""

    budget: str
    key: str
    at: Amount
    text: str
    threshold: str = ""


class Decided(Told):
    """A decision. ``calls`` are the model to call and its fallbacks, in order, none where the request is denied.

    ``shares`` are those that splits of the route drew, outermost first, and ``ways_out`` those that were taken since no
    candidate of a choice was left.
    """

    allow: bool
    model: str | None
    fallbacks: Sequence[str]
    rule: str
    shares: Sequence[str]
    ways_out: Sequence[Literal["cheapest", "best", "next", "target"]]
    reasons: Sequence[str]
    calls: list[Call]
    excluded: Sequence[Excluded]
    alerts: Sequence[Alert]
    policy_digest: str
    catalogue_digest: str


class BatchItem(Told):
    """What was decided, or the problems of a request that the policy set does not accept.

    ``model``, ``fallbacks`` and ``rule`` are those of the ``decision``, which brief answers leave out.
    """

    allow: bool
    model: str | None
    fallbacks: tuple[str, ...]
    rule: str
    decision: Decided | None
    problems: tuple[str, ...] = ()


class BatchAnswer(Told):
    """The answers, in the order of the requests."""

    answers: list[BatchItem]


class Explained(Told):
    """A decision with its record and all that it was made on, as `decision.v1.json` describes it."""

    allow: bool
    decision: dict[str, Any]


class ModelsAnswer(Told):
    """Which models may serve, in order, and why each other one may not."""

    may_serve: list[str]
    excluded: list[Excluded]


class HeldLine(Told):
    """What is held on one budget, in its unit."""

    budget: str
    key: str
    unit: str
    amount: Amount


class Reserved(Told):
    """A call that may proceed. Where ``held`` is empty no budget counts it; settled, it is logged with its cost."""

    id: str
    expires_at: datetime | None
    held: list[HeldLine]
    decision: Decided


class BudgetCharge(Told):
    """What a call was charged on one budget, in its unit, and what had been held for it there."""

    budget: str
    key: str
    unit: str
    amount: Amount
    held: Amount


class Charge(Told):
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


class BatchSettled(Told):
    """What became of the items whose results were given.

    ``charged`` are those that the provider answered, or whose result is not understood; ``released`` those that it did
    not bill, with its reason. ``problems`` are lines that belong to no item that is held.
    """

    id: str
    cost_usd: Amount
    charged: dict[str, Charge]
    released: dict[str, str]
    problems: Sequence[str]


class RunEnded(Told):
    """The end of the run is on record."""

    run: str


class Released(Told):
    """What was held is given back, unless the call had been settled."""

    id: str


class Extended(Told):
    """When the hold ends now."""

    id: str
    expires_at: datetime | None


class SpendLine(Told):
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
    set_aside: Amount = "0"
    """What of `held` is set aside for budgets that are reserved from this one."""
    reserved: Amount | None = None
    """What is left of what is set aside for this key in another budget; null where nothing is."""


class SpendAnswer(Told):
    """What budgets have used, hold and have left."""

    budgets: list[SpendLine]


class PolicyLayer(Told):
    """One policy of the set, with the ids of its rules."""

    name: str
    version: str
    access: list[str]
    routes: list[str]
    rewrites: list[str]
    budgets: list[str]


class PolicyList(Told):
    """The policy set that decides, and its models."""

    name: str
    version: str
    policy_digest: str
    catalogue_digest: str
    policies: list[PolicyLayer]
    models: list[str]


class Health(Told):
    """The process answers."""

    status: Literal["ok"] = "ok"


class Ready(Told):
    """The service can do its work. ``problems`` say what is wrong all the same."""

    policy_digest: str
    problems: list[str] = field(default_factory=list)


class ProblemFacts(Told):
    """What is wrong. ``type`` is one of the names that the SDKs of OpenAI and Anthropic know; ``code`` is ours.

    ``over`` is the run that is over, if the call was refused for that, and ``approval`` the id of the approval that it
    needs, if it was refused for want of one.
    """

    message: str
    type: str
    code: str
    param: None
    rule: str | None
    budget: str | None
    key: str | None
    resets_at: datetime | None
    unit: str | None = None
    used: Amount | None = None
    held: Amount | None = None
    limit: Amount | None = None
    hold_ends_at: datetime | None = None
    set_aside: Amount | None = None
    over: str | None = None
    approval: str | None = None


class Problem(Told):
    """Why a request is not answered with what it asked for."""

    type: Literal["error"]
    error: ProblemFacts


class Submitted(Told):
    """A batch that may be handed in without the items that are ``refused``, each with the reason."""

    id: str
    calls: dict[str, Reserved]
    refused: dict[str, ProblemFacts]
