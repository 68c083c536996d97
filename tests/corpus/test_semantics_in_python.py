"""Sentences of docs/semantics.md that no suite can show. A test is named after its sentence."""

from __future__ import annotations

import ast
import decimal
import hashlib
import json
import pickle
import shutil
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import costlens_policy
from costlens_policy import Balance, Decision, Engine, PolicyError, RequestError, load
from costlens_policy.cli.app import app
from costlens_policy.decision_log import decide_again
from costlens_policy.decision_log.entries import decision_entry
from costlens_policy.engine.mask import Mask
from costlens_policy.engine.routes import split_position
from costlens_policy.quantiles import MOST_CASES, CallKind, Measured, Ratios, ratio_of
from costlens_policy.rewrites.redaction import RedactStep
from costlens_policy.schema import schema_texts
from tests.corpus.semantic_cases import CATALOGUE, SETS, engine_of

NOW = datetime(2026, 5, 1, tzinfo=UTC)
HEAD = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: plain, version: "1"}\n'


def decide(folder: str, /, *, balances: Any = None, now: datetime = NOW, **request: Any) -> Decision:
    return engine_of(SETS / folder).decide({"prompt_tokens": 1000, **request}, balances=balances, now=now)


def changed(tmp_path: Path, folder: str, **texts: str) -> Path:
    """Return a copy of a policy set, alone in a folder, in which some files (without their ending) have other texts."""
    copy = tmp_path / folder
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(SETS / folder, copy)
    shutil.copy(SETS / "catalogue.yaml", copy)
    policy_set = (copy / "policy-set.yaml").read_text(encoding="utf-8")
    (copy / "policy-set.yaml").write_text(policy_set.replace("../catalogue", "catalogue"), encoding="utf-8")
    for name, text in texts.items():
        (copy / f"{name}.yaml").write_text(text, encoding="utf-8")
    return copy


def test_s_req_2_null_counts_as_absent() -> None:
    assert decide("plain", model=None, cost_budget=None).rule == "default"


@pytest.mark.parametrize("tokens", [-1, 1.5, "much", True, 10**9 + 1])
def test_s_cch_1_other_counts_are_rejected(tokens: object) -> None:
    with pytest.raises(RequestError, match=r"`warm_tokens\.big` must be"):
        decide("caches", warm_tokens={"big": tokens})


def test_s_bud_40_no_policy_takes_a_limit_of_another_out_of_force(tmp_path: Path) -> None:
    head = HEAD.replace("plain", "overflow")
    budget = "  - {id: %s, hard_limit_usd: 1, window: {calendar: day}%s}\n"
    pair = budget % ("a", ", overflow: b") + budget % ("b", "")
    load(changed(tmp_path, "overflow", overflow=head + "budgets:\n" + pair))
    circle = budget % ("a", ", overflow: b") + budget % ("b", ", overflow: a")
    with pytest.raises(PolicyError, match="in a circle"):
        load(changed(tmp_path, "overflow", overflow=head + "budgets:\n" + circle))
    row = "".join(budget % (f"b{at}", f", overflow: b{at + 1}") for at in range(4)) + budget % ("b4", "")
    with pytest.raises(PolicyError, match="more than 4 budgets"):
        load(changed(tmp_path, "overflow", overflow=head + "budgets:\n" + row))
    for named, problem in (("company/total", "out of force"), ("company/spare", ""), ("company/nothing", "no budget")):
        folder = changed(
            tmp_path,
            "overflow",
            overflow=head + "budgets:\n" + budget % ("a", f", overflow: {named}"),
            company=HEAD.replace("plain", "company")
            + "budgets:\n"
            + budget % ("total", "")
            + budget % ("day", ", overflow: spare")
            + budget % ("spare", ""),
        )
        text = (folder / "policy-set.yaml").read_text(encoding="utf-8")
        (folder / "policy-set.yaml").write_text(text.replace("[overflow.yaml]", "[company.yaml, overflow.yaml]"))
        if problem:
            with pytest.raises(PolicyError, match=problem):
                load(folder)
        else:
            assert set(load(folder).plan.stages.overflows) == {"company/spare"}


def test_s_hld_4_the_ratio_is_that_of_the_kth_case() -> None:
    hundredths = [10_000 * part for part in range(1, 20)]
    assert Ratios(hundredths).measured(Decimal("0.95")) == (19, Decimal("0.19"))  # the 19th of 19: 0.95 * 20
    assert Ratios(hundredths[:0:-1]).measured(Decimal("0.95")) == (18, 1)  # there is no 19th of 18
    assert Ratios(reversed(hundredths)).measured(Decimal("0.5")) == (19, Decimal("0.1"))
    assert Ratios([10**6, *[5] * MOST_CASES]).measured(Decimal("0.999")) == (MOST_CASES, Decimal("0.000005"))
    assert [ratio_of(1, 3), ratio_of(2, 1), ratio_of(0, 7), ratio_of(0, 0)] == [333_334, 10**6, 0, 10**6]


def test_s_hld_5_a_fallback_may_be_held_for() -> None:
    kinds = {"nano": ("0.9", "0.0027"), "mini": ("0.5", "0.005")}  # of $0.003 and $0.01
    measured = {
        CallKind("holds/dollars", name, "chat", 10): Measured(20, Decimal(ratio)) for name, (ratio, _) in kinds.items()
    }
    plan = engine_of(SETS / "holds").plan
    engine = Engine(replace(plan, defaults=replace(plan.defaults, max_fallbacks=1)))
    request = {"prompt_tokens": 1000, "task": "chat", "user": "anybody"}
    decision = engine.decide(request, now=NOW, measured=measured)
    assert (decision.model, decision.fallbacks) == ("nano", ("mini",))
    assert [seen.hold for seen in decision.balances] == [Decimal(kinds["nano"][1])]
    assert [seen.hold for seen in decision.fallback_calls[0].balances] == [Decimal(kinds["mini"][1])]
    (held,) = decision.holds
    assert (held.call, held.hold) == (Decimal("0.01"), Decimal("0.005"))


def test_s_hld_6_what_cannot_be_held_for_less(tmp_path: Path) -> None:
    head = HEAD.replace("plain", "holds")
    budget = "budgets:\n  - {id: b, hard_limit_%s: 9, hold: {quantile: 0.9}, window: %s}\n"
    load(changed(tmp_path, "holds", holds=head + budget % ("tokens", "{calendar: day}")))
    for unit, window, problem in (
        ("requests", "{calendar: day}", "`hard_limit_requests`"),
        ("usd", "{per_call: true}", "`per_call`"),
    ):
        with pytest.raises(PolicyError, match=problem):
            load(changed(tmp_path, "holds", holds=head + budget % (unit, window)))


def test_s_rsv_5_what_cannot_be_reserved(tmp_path: Path) -> None:
    head = HEAD.replace("plain", "reserved")
    whole = "  - {id: whole, hard_limit_usd: 9, window: %s}\n"
    share = "  - {id: share, hard_limit_%s: 3, reserved_from: %s, window: {lifetime: true}%s}\n"
    day = whole % "{calendar: day}"
    load(
        changed(tmp_path, "reserved", reserved=f"{head}budgets:\n{day}{share % ('usd', 'whole', ', reserved_for: 5m')}")
    )
    spare = "  - {id: spare, hard_limit_usd: 9, overflow: whole, window: {calendar: day}}\n"
    for budgets, problem in (
        (day + share % ("usd", "hole", ""), "did you mean `whole`"),
        (day + share % ("tokens", "whole", ""), "counts another unit"),
        (day + share % ("runs", "whole", ""), "calls add up to"),
        (day + share % ("usd", "whole", ", shadow: true"), "`shadow`"),
        (day + share % ("usd", "whole", ", overflow: whole"), "`overflow`"),
        (day + share % ("usd", "whole", ", reserved_for: 40d"), "31d"),
        (day + share.replace("reserved_from: %s", "reserved_for: %s") % ("usd", "5m", ""), "beside `reserved_from`"),
        (whole % "{per_call: true}" + share % ("usd", "whole", ""), "limits each call by itself"),
        (day + spare + share % ("usd", "whole", ""), "has an overflow or is one"),
        (share % ("usd", "share", ""), "reserved from itself"),
        (
            share % ("usd", "other", "") + (share % ("usd", "share", "")).replace("id: share", "id: other"),
            "in a circle",
        ),
        (day + (share % ("usd", "whole", "")).replace("_usd: 3", "_usd: 10"), "a higher limit than"),
    ):
        with pytest.raises(PolicyError, match=problem):
            load(changed(tmp_path, "reserved", reserved=f"{head}budgets:\n{budgets}"))


def test_s_rsv_6_what_a_decision_lists() -> None:
    engine, request = engine_of(SETS / "reserved"), {"prompt_tokens": 1000, "run": "fix/search"}
    whole, share = ("reserved/run", "fix"), ("reserved/share", "fix/search")
    first = engine.decide(request, now=NOW, balances={whole: Balance(Decimal(1), Decimal(3), set_aside=Decimal(2))})
    seen = {item["budget"]: item for item in first.to_dict()["balances"]}
    assert (seen[whole[0]]["set_aside"], seen[whole[0]]["begins"]) == ("2", "3")
    assert not {"set_aside", "own", "begins"} & seen[share[0]].keys()
    held = Balance(Decimal(1), Decimal(4), set_aside=Decimal(4))
    again = engine.decide(request, now=NOW, balances={whole: held, share: Balance(reserved=Decimal(3))})
    seen = {item["budget"]: item for item in again.to_dict()["balances"]}
    assert (seen[whole[0]]["set_aside"], seen[whole[0]]["own"]) == ("4", "3")
    assert "begins" not in seen[whole[0]]


@pytest.mark.parametrize(
    "known", [(20, Decimal("-0.1")), (20, Decimal("1.1")), (-1, Decimal(1)), (True + 0.5, Decimal(1))]
)
def test_what_is_measured_must_be_a_ratio(known: Any) -> None:
    kind = CallKind("holds/dollars", "nano", "chat", 10)
    for wrong in ({kind: known}, {kind._replace(budget="holds/dolars"): (20, Decimal(1))}):
        with pytest.raises(ValueError, match=r"from 0 to 1|did you mean `holds/dollars`"):
            engine_of(SETS / "holds").decide({"prompt_tokens": 1000}, now=NOW, measured=wrong)


def test_s_hld_7_the_same_is_decided_again() -> None:
    kind = CallKind("holds/dollars", "nano", "chat", 10)
    measured = {kind: Measured(20, Decimal("0.5")), kind._replace(model="large"): Measured(1, Decimal(1))}
    request = {"prompt_tokens": 1000, "task": "chat"}
    engine = engine_of(SETS / "holds")
    decision = engine.decide(request, now=NOW, measured=measured)
    assert decision.measured == {kind: Measured(20, Decimal("0.5"))}
    again = engine.decide(decision.request, balances=decision.balances_read, now=NOW, measured=decision.measured)
    assert again == decision == pickle.loads(pickle.dumps(decision))
    assert again != engine.decide(request, now=NOW)
    entry = json.loads(json.dumps(decision_entry(decision, "1", True, Mask(), record=False)))
    assert decide_again(engine, entry).verdict == "same"
    assert decide_again(engine, {**entry, "measured": []}).verdict == "different"
    assert "95 % of 20 such calls stayed within 50 % of their worst case" in str(decision.record())


def test_s_req_4_every_problem_is_told_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        decide("strict", tier="gold", color="red", cost_budget="much")
    assert len(caught.value.problems) == 4


def test_s_req_12_numbers_and_depth_are_bounded() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    for value in (float("nan"), float("inf"), 2**63, -(2**63) - 1, deep):
        with pytest.raises(RequestError):
            decide("plain", metadata={"n": value})
    with pytest.raises(RequestError):
        decide("plain", cost_budget=float("inf"))


def test_s_req_13_nothing_is_decided_on_a_refused_request(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="unknown attribute `color`"):
        decide("plain", color="red")
    (tmp_path / "request.json").write_text('{"color": "red"}')
    result = CliRunner().invoke(
        app, ["eval", str(SETS / "plain"), str(CATALOGUE), "--request", str(tmp_path / "request.json")]
    )
    assert (result.exit_code, result.stdout) == (2, "")


def test_s_req_14_the_request_is_never_changed() -> None:
    request = {
        "task": "order",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
        "params": {"n": 1, "max_tokens": 5},
    }
    before = json.dumps(request)
    decision = engine_of(SETS / "rewrites").decide(request, now=NOW)
    assert decision.messages is not None
    assert decision.messages[0]["content"][0]["text"] == "Be brief. hello.!"
    assert json.dumps(request) == before


class Level(IntEnum):
    ONE = 1


class Name(StrEnum):
    ASKED = "mini"


def test_s_req_16_what_extends_a_text_or_a_number_is_plain() -> None:
    plain = decide("plain", model="mini", metadata={"n": 1, "of": ["mini"]}, params={"n": 1}, prompt_tokens=1)
    same = decide(
        "plain", model=Name.ASKED, metadata={"n": Level.ONE, "of": (Name.ASKED,)}, params={"n": Level.ONE},
        prompt_tokens=Level.ONE,
    )  # fmt: skip
    assert same.to_dict() == plain.to_dict()
    assert type(same.request["model"]) is type(same.request["metadata"]["of"][0]) is str
    assert type(same.request["prompt_tokens"]) is type(same.params["n"]) is int


def test_s_acc_8_access_rules_need_on_error(tmp_path: Path) -> None:
    text = HEAD + "access: [{id: a, effect: deny, reason: no}]\n"
    with pytest.raises(PolicyError, match="on_error"):
        load(changed(tmp_path, "plain", plain=text))


@pytest.mark.parametrize("keys", ["when: estimate.cost_usd > 1.0, effect: deny", "only: estimate.cost_usd > 1.0"])
def test_s_acc_9_access_reads_no_estimate(keys: str, tmp_path: Path) -> None:
    text = HEAD + f"on_error: deny\naccess: [{{id: a, {keys}, reason: no}}]\n"
    with pytest.raises(PolicyError) as caught:
        load(changed(tmp_path, "plain", plain=text))
    assert [item.code for item in caught.value.diagnostics if item.is_error] == ["CL215"]


def test_s_dec_14_every_model_may_serve_or_has_a_reason() -> None:
    engine = engine_of(SETS / "models")
    models = engine.models({"user": "guest", "task": "split", "prompt": "x"}, now=NOW)
    assert models.may_serve == ()
    reasons = {item.model: item.reason for item in models.excluded}
    assert set(reasons) == set(engine.plan.catalogue.models)
    assert "guests get the small model" in reasons["large"]
    assert reasons["nano"] == "it does not meet the terms of route `models/split`: it does not name the model"
    assert engine.models({"prompt": "x"}, now=NOW).may_serve == ("large", "mini", "nano")


def test_s_rte_5_routes_after_the_deciding_one_are_not_evaluated() -> None:
    routes = decide("plain", task="all").record().stages[2].rules
    outcomes = {rule.id: str(rule.outcome) for rule in routes}
    assert (outcomes["plain/asked"], outcomes["plain/all"]) == ("not matched", "matched")
    assert {outcomes[rule.id] for rule in routes[2:]} == {"not reached"}


def test_s_rte_11_a_split_follows_its_formula() -> None:
    weights = (3, 1)
    for index in range(500):
        key = f"user-{index}-ü"
        digest = hashlib.sha256(f"split/canary\0{key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") * sum(weights) // 2**64
        share = 0 if place < weights[0] else 1
        assert split_position(key, "split/canary", (3, 4)) == share
        assert decide("split", task="canary", user=key).model == ("nano", "mini")[share]


def test_s_can_14_each_fallback_has_a_request_of_its_own() -> None:
    decision = decide("rewrites", task="both", prompt="hello", tools=[{"name": "a"}])
    assert (decision.model, decision.prompt) == ("nano", "Be brief. hello.!")
    (call,) = decision.fallback_calls
    assert (call.model, call.prompt, call.rewrites) == ("mini", "hello.!", ("rewrites/dot",))
    assert call.estimate.prompt_tokens < decision.estimate.prompt_tokens  # type: ignore[union-attr]  # it is allowed


def test_s_bud_14_alerts_of_others_are_not_told() -> None:
    balances = {("thresholds/alerts", ""): Balance(Decimal("0.4988"))}
    decision = decide("thresholds", task="alert", model="nano", balances=balances)
    assert decision.fallbacks == ("large",)
    assert [alert.at for alert in decision.alerts] == [Decimal("0.25"), Decimal("0.5")]


def test_s_bud_25_the_limit_in_force(tmp_path: Path) -> None:
    def decided(used: str, **more: Decimal) -> Decision:
        state = Balance(Decimal(used), **more)
        return decide("thresholds", task="alert", balances={("thresholds/alerts", ""): state})

    assert decided("1.9", override=Decimal(2)).allowed
    assert not decided("0.6", override=Decimal("0.5")).allowed
    assert decided("1.2", topup=Decimal("0.5")).allowed
    assert len(decided("0.6", topup=Decimal(1)).alerts) == 1  # the soft limit, which is an amount
    assert len(decided("0.6").alerts) == 2


def test_s_est_3_a_count_that_was_given_is_the_basis() -> None:
    estimate = decide("plain", prompt="hello").estimate
    assert estimate is not None
    assert (estimate.prompt_tokens, estimate.basis) == (1000, "request")


def test_s_est_4_a_count_never_falls_below_zero() -> None:
    text = "a@example.org " * 20
    decision = decide("rewrites", task="secret", prompt=text, prompt_tokens=0)
    assert decision.estimate is not None
    assert decision.estimate.prompt_tokens >= 0


def test_s_est_5_all_that_the_model_reads_is_counted() -> None:
    def tokens(**request: Any) -> int:
        estimate = decide("plain", prompt_tokens=None, model="mini", **request).estimate
        assert estimate is not None
        assert estimate.basis == "estimate"
        return estimate.prompt_tokens

    base = tokens(prompt="hello")
    assert base > 0
    assert tokens(prompt="hello", tools=[{"name": "look_up", "description": "looks something up"}]) > base + 5
    assert tokens(prompt="hello", params={"system": "you are a kind assistant"}) > base + 3
    form = {"type": "json_schema", "json_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}
    assert tokens(prompt="hello", response_format=form) > base + 5
    assert tokens(messages=[{"role": "user", "content": "hello"}]) > base


def test_s_est_8_an_unknown_cost_is_not_zero() -> None:
    decision = decide("admitting", model="unpriced")
    assert decision.to_dict()["estimate"]["cost_usd"] is None


def test_s_est_9_the_worst_cost_is_that_of_the_dearest_kind() -> None:
    def worst(**request: Any) -> Decimal | None:
        estimate = decide("plain-budgets", model="dear", **request).estimate
        assert estimate is not None
        assert estimate.cost == Decimal("0.0012")
        return estimate.worst_cost

    assert worst() == Decimal("0.00225")  # the provider may write a cache unasked, and the output be reasoning
    marked = [{"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"ttl": "1h"}}]}]
    assert worst(messages=marked) == Decimal("0.003")


def test_s_tim_1_now_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        decide("plain", now=datetime(2026, 5, 1))


def test_s_exp_4_numbers_do_not_mix_in_arithmetic(tmp_path: Path) -> None:
    text = (
        HEAD + "routes: [{id: a, when: has(request.prompt_tokens) && request.prompt_tokens * 1.5 > 3.0, model: nano}]"
    )
    with pytest.raises(PolicyError) as caught:
        load(changed(tmp_path, "plain", plain=text))
    assert [item.code for item in caught.value.diagnostics if item.is_error] == ["CL310"]


def test_s_exp_6_messages_quote_no_value() -> None:
    secret = "open-sesame"  # a value that must not reach a log
    for request in ({"task": "failing", "metadata": {secret: secret}}, {"task": "open", "metadata": {"flag": secret}}):
        decision = decide("plain", **request)
        assert decision.errors
        assert all(secret not in failure.message for failure in decision.errors)


TABLE = 'apiVersion: costlens-policy/v1\nkind: Data\nmetadata: {name: limits, version: "1"}\n'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "CL005"), (TABLE, "CL104"), (TABLE + "data: {long: }\n", "CL221"),
        (TABLE + "data: {long: 1e999}\n", "CL016"),
        (TABLE + "type: map(string, int)\ndata: {otherwise: nano}\n", "CL222"),
        (TABLE.replace("limits", "teams") + "data: 1\n", "CL206"),
    ],
)  # fmt: skip
def test_s_dat_2_what_is_wrong_with_data_is_an_error_when_it_is_loaded(tmp_path: Path, text: str, code: str) -> None:
    with pytest.raises(PolicyError) as caught:
        load(changed(tmp_path, "data", limits=text))
    assert code in {item.code for item in caught.value.diagnostics}
    (tmp_path / "data" / "limits.yaml").unlink()
    with pytest.raises(PolicyError, match="there is no file `limits"):
        load(tmp_path / "data")


@pytest.mark.parametrize(
    "read", ["data.teams.nobody", 'data.teams["nobody"]', "data.teams.research.lead", "data.nobody"]
)
def test_s_dat_4_a_key_that_is_written_out_and_not_there_is_an_error_when_it_is_loaded(
    tmp_path: Path, read: str
) -> None:
    text = (SETS / "data" / "policy.yaml").read_text(encoding="utf-8")
    copy = changed(
        tmp_path,
        "data",
        policy=text.replace("data.limits.long, model", f"{read}.long', model").replace(
            "when: request.?prompt", "when: 'request.?prompt"
        ),
    )
    with pytest.raises(PolicyError) as caught:
        load(copy)
    assert "CL302" in {item.code for item in caught.value.diagnostics}


def test_s_dat_5_the_policy_digest_covers_the_data(tmp_path: Path) -> None:
    digest = engine_of(SETS / "data").plan.policy_digest
    same = (
        TABLE
        + "# a comment\ndata: {freeze: 2026-12-24T01:00:00+01:00, ratios: [1, 0.50], long: 20_000, otherwise: nano}\n"
    )
    assert load(changed(tmp_path, "data", limits=same.replace("20_000", "20000"))).plan.policy_digest == digest
    other = same.replace("20_000", "20001")
    assert load(changed(tmp_path, "data", limits=other)).plan.policy_digest != digest


def test_s_sig_5_a_decision_lists_what_was_read_and_decides_the_same_without_the_texts() -> None:
    engine = engine_of(SETS / "signals")
    decision = engine.decide({"prompt": "explain this python code"}, now=NOW)
    assert decision.request["signals"] == {"mood": None, "task": "code"}
    again = engine.decide({"prompt": "###", "signals": decision.request["signals"]}, now=NOW)
    assert (again.rule, again.model) == (decision.rule, decision.model)


def test_s_sig_11_a_signal_that_fails_says_nothing() -> None:
    def failing(_text: str) -> None:
        raise ZeroDivisionError("secret")

    plan = engine_of(SETS / "signals").plan
    signal = plan.signals["task"]
    weigh = signal.weigh
    object.__setattr__(signal, "weigh", failing)
    try:
        decision = decide("signals", prompt="python")
    finally:
        object.__setattr__(signal, "weigh", weigh)
    assert (decision.rule, [item.code for item in decision.errors]) == ("default", ["CL933"])
    assert "secret" not in str(decision.errors[0])


def test_s_sig_12_the_policy_digest_covers_signals_and_a_model_is_the_one_declared(tmp_path: Path) -> None:
    folder = changed(tmp_path, "signals")
    digest = load(folder).plan.policy_digest
    signals = (folder / "signals.yaml").read_text(encoding="utf-8")
    (folder / "signals.yaml").write_text("# a comment\n" + signals, encoding="utf-8")
    assert load(folder).plan.policy_digest == digest
    (folder / "signals.yaml").write_text(signals.replace("weight: 5", "weight: 6"), encoding="utf-8")
    assert load(folder).plan.policy_digest != digest
    (folder / "task.json").write_text("{}", encoding="utf-8")
    declared = f'  learned: {{learned: {{model: task.json, digest: "sha256:{"0" * 64}"}}}}\n'
    (folder / "signals.yaml").write_text(signals + declared, encoding="utf-8")
    with pytest.raises(PolicyError, match="CL230"):
        load(folder)


def test_s_mon_1_no_sum_is_rounded() -> None:
    hair = Decimal("1e-30")
    room = Decimal("0.9988") - Decimal("0.5")
    with decimal.localcontext(decimal.Context(prec=3)):
        balances = {("budgets/per-user", "ann"): Balance(Decimal("0.5"), room)}
        assert decide("budgets", task="user", user="ann", balances=balances).allowed
        with decimal.localcontext(decimal.Context(prec=60)):
            more = room + hair
        balances = {("budgets/per-user", "ann"): Balance(Decimal("0.5"), more)}
        denied = decide("budgets", task="user", user="ann", balances=balances)
        assert not denied.allowed
        assert denied.to_dict()["balances_read"][0]["held"] == "0.498800000000000000000000000001"


def test_s_mon_2_amounts_are_plain_texts() -> None:
    balances = {("budgets/per-user", "ann"): Balance(Decimal("1E-7"), Decimal("0.10"))}
    given = decide("budgets", task="user", user="ann", balances=balances).to_dict()
    assert given["balances"] == [
        {
            "budget": "budgets/per-user", "key": "ann", "unit": "usd", "limit": "1", "used": "0.0000001", "held": "0.1",
            "call": "0.0012", "shadow": False,
        }
    ]  # fmt: skip


def test_s_mon_3_expressions_see_doubles() -> None:
    almost = {("budgets/dollars", ""): Balance(Decimal("0.4999999999999999999999"))}
    decision = decide("budgets", task="read", balances=almost)
    assert decision.rule == "budgets/read"  # the double next to this ratio is 0.5
    assert decision.balances[0].used == Decimal("0.4999999999999999999999")


def test_s_err_1_an_error_has_its_place() -> None:
    decision = decide("choice", task="some")
    (failure,) = decision.errors
    assert (failure.rule, failure.stage, failure.code) == ("choice/fails-for-some", "routes", "CL902")
    assert failure.span is not None
    text = (SETS / "choice" / "choice.yaml").read_text(encoding="utf-8").splitlines()
    line = text[failure.span.start.line - 1]
    assert "model.latency_p50_ms" in line[failure.span.start.column - 1 :]


def test_s_err_1_so_has_what_a_rewrite_writes() -> None:
    (failure,) = decide("applying", task="odd", prompt="Hello.").errors
    assert (failure.rule, failure.stage, failure.code) == ("applying/odd", "rewrites", "CL902")
    assert failure.span is not None
    line = (SETS / "applying" / "applying.yaml").read_text(encoding="utf-8").splitlines()[failure.span.start.line - 1]
    assert line[failure.span.start.column - 1 :].startswith("'request.metadata[\"n\"]'")


@pytest.mark.parametrize("request_", [None, [], "hello", 3, {1: 2}, {"prompt": b"x"}, {"messages": "x"}])
def test_s_err_2_what_is_wrong_with_a_request_is_a_request_error(request_: Any) -> None:
    with pytest.raises(RequestError):
        engine_of(SETS / "plain").decide(request_, now=NOW)


@pytest.mark.parametrize("used", [0.5, 1, Decimal("NaN"), Decimal("-1"), Decimal("1e16"), Decimal("1e-31"), "1"])
def test_s_err_3_a_balance_is_exact(used: Any) -> None:
    with pytest.raises(ValueError, match=r"amount|Decimal"):
        Balance(used)


def test_s_dec_1_a_refused_request_has_nothing_to_send() -> None:
    for decision in (decide("access", user="bob", prompt="hello"), decide("plain", cost_budget=0, prompt="hello")):
        assert (decision.effect, decision.allowed) == ("deny", False)
        assert decision.model is decision.prompt is decision.messages is decision.system is decision.estimate is None
        assert (decision.fallbacks, decision.fallback_calls, dict(decision.params)) == ((), (), {})


def test_s_dec_3_reasons_stand_in_the_order_of_the_steps() -> None:
    balances = {("thresholds/shorten", ""): Balance(Decimal("0.6"))}
    decision = decide("thresholds", task="rewrite", model="gpt-99", prompt="hello", balances=balances)
    steps = [reason.partition(":")[0] for reason in decision.reasons]
    assert list(dict.fromkeys(steps)) == ["access", "routes", "candidates", "rewrites", "budgets"]
    order = {"access": 0, "routes": 1, "candidates": 2, "rewrites": 3, "budgets": 4}
    assert steps == sorted(steps, key=order.__getitem__)


def test_s_dec_4_equal_arguments_give_equal_decisions() -> None:
    balances = {("thresholds/shorten", ""): Balance(Decimal("0.6"))}
    request = {"task": "rewrite", "prompt": "hello"}
    given = {
        json.dumps(load(SETS / "thresholds", CATALOGUE).decide(request, balances=balances, now=NOW).to_dict())
        for _ in range(3)
    }
    assert len(given) == 1


def test_s_dec_5_a_decision_is_enough_to_decide_again() -> None:
    balances = {("thresholds/shorten", ""): Balance(Decimal("0.95")), ("thresholds/down", "x"): Balance(Decimal("1"))}
    first = decide("thresholds", task="rewrite", model="mini-latest", prompt="hello", balances=balances).to_dict()
    again = json.loads(json.dumps(first))
    read = {
        (item["budget"], item["key"]): Balance(Decimal(item["used"]), Decimal(item["held"]))
        for item in again["balances_read"]
    }
    second = engine_of(SETS / "thresholds").decide(
        again["request"], balances=read, now=datetime.fromisoformat(again["now"])
    )
    assert json.dumps(second.to_dict()) == json.dumps(first)


def test_s_dec_6_the_policy_digest_is_of_the_rules(tmp_path: Path) -> None:
    def digest(text: str, name: str = "plain") -> str:
        folder = changed(tmp_path, "plain")
        (folder / "plain.yaml").unlink()
        (folder / f"{name}.yaml").write_text(HEAD + text, encoding="utf-8")
        policy_set = (folder / "policy-set.yaml").read_text(encoding="utf-8")
        (folder / "policy-set.yaml").write_text(policy_set.replace("plain.yaml", f"{name}.yaml"), encoding="utf-8")
        return load(folder / "policy-set.yaml").decide({}, now=NOW).policy_digest

    one = digest("routes: [{id: a, when: request.task == 'x', model: mini}]\non_error: deny\n")
    same = digest(
        "# why\non_error: deny\nroutes:\n  - model: mini\n    when: request.task == 'x'\n    id: a\n", "moved"
    )
    other = digest("routes: [{id: a, when: request.task == 'y', model: mini}]\non_error: deny\n")
    assert one == same != other
    budgets = [
        digest(f"budgets: [{{id: a, hard_limit_usd: {limit}, window: {{lifetime: true}}}}]\n")
        for limit in ("0.50", "0.5", "0.51")
    ]
    assert budgets[0] == budgets[1] != budgets[2]


def test_s_dec_7_the_catalogue_digest_is_of_the_models(tmp_path: Path) -> None:
    models = {"nano": "{prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}", "mini": "{price_as: nano}"}

    def digest(order: list[str], **more: str) -> str:
        folder = changed(tmp_path, "plain", plain=HEAD + "on_error: deny\n")
        head = 'apiVersion: costlens-policy/v1\nkind: Catalogue\nmetadata: {name: c, version: "1"}\nmodels:\n'
        lines = "".join(f"  {name}: {(models | more)[name]}\n" for name in order)
        (folder / "catalogue.yaml").write_text(head + lines, encoding="utf-8")
        return load(folder).decide({}, now=NOW).catalogue_digest

    one = digest(["nano", "mini"])
    assert one == digest(["mini", "nano"])
    assert one != digest(["nano", "mini"], mini="{price_as: nano, context_window: 8000}")
    assert one != digest(["nano", "mini"], nano="{prices: [{usd_per_million_tokens: {input: 1, output: 2.5}}]}")


def test_s_dec_8_the_record_tells_every_rule() -> None:
    record = decide("plain", task="failing", metadata={}).record()
    rules = {rule.id: rule for stage in record.stages for rule in stage.rules}
    assert str(rules["plain/failing"].outcome) == "failed"
    assert str(rules["plain/after-failing"].outcome) == "matched"
    assert str(rules["plain/night"].outcome) == "not reached"
    assert ("request.task", '"failing"') in rules["plain/all"].parts
    plan = engine_of(SETS / "plain").plan
    known = {
        step.id for layer in plan.layers for step in (*layer.access, *layer.routes, *layer.budgets, *layer.rewrites)
    }
    assert rules.keys() == known


def test_s_dec_10_the_engine_looks_at_nothing_outside() -> None:
    package = Path(costlens_policy.__file__).parent
    outside = {
        "asyncio",
        "http",
        "io",
        "locale",
        "os",
        "pathlib",
        "random",
        "secrets",
        "socket",
        "sys",
        "time",
        "urllib",
    }
    for file in sorted((package / "engine").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert not {name.partition(".")[0] for name in named} & outside, file
        calls = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        assert not calls & {"today", "utcnow", "system_now"}, file


def test_s_dec_11_what_is_held_covers_the_fallbacks() -> None:
    decision = decide("plain-budgets", task="follow")
    assert (decision.model, decision.fallbacks) == ("mini", ("nano", "large"))
    assert [(seen.budget, seen.call) for seen in decision.holds] == [("budgets/all", Decimal("0.0065"))]
    assert [seen.call for seen in decision.balances] == [Decimal("0.0028"), Decimal("0.0028")]


def test_s_dec_12_library_and_command_line_are_equal(tmp_path: Path) -> None:
    (tmp_path / "request.json").write_text('{"task": "all", "prompt": "hello"}')
    arguments = [
        "eval",
        str(SETS / "plain"),
        str(CATALOGUE),
        "--request",
        str(tmp_path / "request.json"),
        "--format",
        "json",
    ]
    result = CliRunner().invoke(app, [*arguments, "--now", NOW.isoformat()])
    expected = engine_of(SETS / "plain").decide({"task": "all", "prompt": "hello"}, now=NOW).to_dict()
    assert json.loads(result.stdout) == expected


def test_s_bud_26_a_balance_of_an_unknown_budget_is_refused() -> None:
    for name in ("thresholds/month", "month", "nothing/at-all"):
        with pytest.raises(ValueError, match=f"there is no budget `{name}`"):
            decide("plain", balances={(name, ""): Balance(Decimal(1))})


def test_s_bud_30_a_scope_key_is_one_that_every_ledger_keeps() -> None:
    for user in ("u" * 513, "ü" * 257, "a\0b", "\ud800"):
        with pytest.raises(RequestError, match="the scope key of budget `budgets/per-user` must"):
            decide("budgets", task="user", user=user)
        assert decide("budgets", task="usd", user=user).allowed
    for user in ("u" * 512, "ü" * 256, "a\x1fb"):
        assert decide("budgets", task="user", user=user).balances[0].key == user


def test_s_rwr_10_every_text_is_redacted_or_the_rewrite_fails() -> None:
    engine = engine_of(SETS / "rewrites" / "policy-set.yaml")
    address = "bob@example.com"
    messages = [
        {"type": "function_call_output", "call_id": "c", "output": address},
        {"role": "user", "parts": [{"text": address}], "unknown": {"key": [address]}},
    ]
    decision = engine.decide({"task": "secret", "messages": messages, "params": {"user": address}}, now=NOW)
    assert decision.allowed
    assert address not in str((decision.messages, decision.params))
    failed = engine.decide({"task": "secret", "messages": [{"role": "user", "content": "x", "id": address}]}, now=NOW)
    assert [failure.code for failure in failed.errors] == ["CL952"]


def test_s_rwr_11_what_is_too_long_is_refused_before_it_is_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = "  m: {provider: x, context_window: %s, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}\n"
    head = "apiVersion: costlens-policy/v1\nkind: %s\nmetadata: {name: n, version: '1'}\n"
    (tmp_path / "catalogue.yaml").write_text(head % "Catalogue" + "models:\n" + models % 8000)
    (tmp_path / "policy.yaml").write_text(
        head % "Policy"
        + "on_error: skip\nrewrites:\n"
        + "  - {id: redact, when: request.task == 'redact', apply: [{redact: {kinds: [email]}}]}\n"
        + "  - {id: trim, when: request.task == 'trim', apply: [{trim_history: {max_prompt_tokens: 100}}]}\n"
        + "  - {id: brief, when: request.task == 'brief', apply: [{suffix: {text: x}}]}\n"
    )
    (tmp_path / "policy-set.yaml").write_text(
        head % "PolicySet"
        + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\n"
        + "defaults: {access: allow, route: {model: m}, max_output_tokens: 5}\n"
    )
    engine = load(tmp_path, cache=False)
    monkeypatch.setattr(RedactStep, "apply", lambda *_: pytest.fail("it was rewritten"))
    long = "a" * (16 * 8000 + 1)
    for request in ({"prompt": long}, {"messages": [{"role": "user", "content": [{"type": "text", "text": long}]}]}):
        refused = engine.decide({"task": "redact", "prompt_tokens": 10, **request}, now=NOW)
        assert (refused.effect, refused.rule) == ("deny", "n/redact")
        assert "16 characters for each token of the largest context window, 8000" in refused.reasons[-1]
    old = [{"role": "user", "content": long}, {"role": "user", "content": "hi"}]
    for request in ({"task": "brief", "prompt": long}, {"task": "trim", "messages": old}):
        assert engine.decide({"prompt_tokens": 50, **request}, now=NOW).allowed
    refused = engine.decide({"task": "trim", "prompt_tokens": 10, "prompt": "a" * 4_000_001}, now=NOW)
    assert "more than the 4,000,000 characters that are rewritten" in refused.reasons[-1]


def test_s_dec_13_a_record_without_texts() -> None:
    engine = engine_of(SETS / "rewrites" / "policy-set.yaml")
    request = {
        "task": "secret",
        "user": "ann",
        "messages": [{"role": "user", "content": "secret words of bob@example.com"}],
        "params": {"stop": ["secret"], "top_p": 0.5},
        "metadata": {"note": "secret"},
    }
    told = engine.decide(request, now=NOW).to_dict(texts=False)
    assert "secret words" not in (shown := json.dumps(told))
    assert "bob" not in shown
    assert "[email]" not in shown
    assert told["request"]["user"] == "ann"
    assert told["params"] == {"stop": ["[6 characters]"], "top_p": 0.5, "max_output_tokens": 100}
    assert told["request"]["messages"] == [f"[{len(json.dumps(request['messages'][0]))} characters of JSON]"]
    prompted = engine.decide({"task": "both", "prompt": "secret words"}, now=NOW).to_dict(texts=False)
    assert "secret words" not in json.dumps(prompted)
    assert prompted["request"]["prompt"] == "[12 characters]"
    Draft202012Validator(json.loads(schema_texts()["decision.v1.json"])).validate(told)


def test_s_dec_15_a_record_under_a_mask() -> None:
    request = {"task": "all", "user": "ann-from-the-zoo", "prompt": "secret words of bob@example.com"}
    decision = decide("plain", **request)
    shown = decision.to_dict(mask=Mask("redact", {"user": "size"}))
    assert shown["request"]["prompt"] == shown["prompt"] == "secret words of [email]"
    assert "ann-from-the-zoo" not in json.dumps(shown)
    whole = decision.to_dict()
    same = ("effect", "model", "fallbacks", "rule", "estimate", "policy_digest", "catalogue_digest", "now")
    assert {name: shown[name] for name in same} == {name: whole[name] for name in same}


def test_s_dec_16_a_logged_decision_is_made_again() -> None:
    engine = engine_of(SETS / "plain")
    decision = engine.decide({"task": "all", "prompt": "x"}, now=NOW)
    for mask, verdict in ((Mask("keep"), "same"), (Mask(attributes={"task": "size"}), "undecidable")):
        entry = json.loads(json.dumps(decision_entry(decision, "1", False, mask, record=False)))
        assert decide_again(engine, entry).verdict == verdict
