"""The decision, step by step."""

from __future__ import annotations

import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from costlens_policy import Balance, Decision, Engine, PolicyError, RequestError
from tests.engine.conftest import Write

NOW = datetime(2026, 5, 1, tzinfo=UTC)
ANY = "on_error: skip\n"


def decide(engine: Engine, *, balances: Any = None, now: datetime = NOW, **request: Any) -> Decision:
    return engine.decide({"prompt": "hello", "prompt_tokens": 1000, **request}, balances=balances, now=now)


class TestRequest:
    def test_unknown_attributes_are_refused_with_a_suggestion(self, company: Write) -> None:
        with pytest.raises(RequestError, match="unknown attribute `promt`; did you mean `prompt`"):
            company(ANY).decide({"promt": "hello"})

    @pytest.mark.parametrize(
        ("request_", "problem"),
        [
            ({"prompt": 3}, "`prompt` must be a string"),
            ({"prompt_tokens": -1}, "`prompt_tokens` must not be negative"),
            ({"prompt_tokens": 2**63}, "`prompt_tokens` is outside the range"),
            ({"prompt_tokens": True}, "`prompt_tokens` must be an integer"),
            ({"cost_budget": float("nan")}, "`cost_budget` must be a finite number"),
            ({"cost_budget": 10**400}, "`cost_budget` must be a finite number"),
            ({"cost_budget": "0.01"}, "`cost_budget` must be a number"),
            ({"stream": 1}, "`stream` must be true or false"),
            ({"tags": "a"}, "`tags`"),
            ({"prompt": "a", "messages": []}, "not both"),
        ],
    )
    def test_what_is_wrong_is_said(self, company: Write, request_: dict[str, Any], problem: str) -> None:
        with pytest.raises(RequestError) as caught:
            company(ANY).decide(request_)
        assert problem in str(caught.value)

    def test_every_problem_is_said(self, company: Write) -> None:
        with pytest.raises(RequestError) as caught:
            company(ANY).decide({"prompt": 1, "nope": 2})
        assert len(caught.value.problems) == 2

    def test_the_model_that_is_asked_for_is_known_whatever_its_spelling(self, company: Write) -> None:
        routes = 'routes: [{id: asked, when: \'request.?asked_model.name.orValue("") == "mini"\', model: large}]\n'
        engine = company(ANY + routes)
        for name in ("mini", "mini-latest", "acme/mini", "mini-2026-01-01"):
            decision = decide(engine, model=name)
            assert decision.rule == "p0/asked"
            assert "asked_model" not in decision.request
        for name in ("nano", "other/mini", "nobody"):
            assert decide(engine, model=name).rule == "default"

    @pytest.mark.parametrize("request_", [None, [], "hello", 3])
    def test_a_request_is_an_object(self, company: Write, request_: Any) -> None:
        with pytest.raises(RequestError, match="a request is an object"):
            company(ANY).decide(request_)

    def test_defaults_requirements_and_values(self, company: Write) -> None:
        attributes = "  tier: {type: string, default: free, values: [free, pro]}\n  seat: {type: int, required: true}"
        engine = company(
            ANY + 'routes: [{id: pro, when: request.tier == "pro" && request.seat > 1, model: mini}]',
            attributes=attributes,
        )
        assert decide(engine, seat=2).model == "nano"
        assert decide(engine, seat=2, tier="pro").model == "mini"
        with pytest.raises(RequestError, match="`seat` is required"):
            decide(engine)
        with pytest.raises(RequestError, match="`tier` must be one of `free`, `pro`"):
            decide(engine, seat=1, tier="gold")

    def test_null_counts_as_absent(self, company: Write) -> None:
        assert decide(company(ANY), cost_budget=None, team=None).allowed

    def test_now_needs_a_zone(self, company: Write) -> None:
        with pytest.raises(ValueError, match="time zone"):
            decide(company(ANY), now=datetime(2026, 5, 1))


class TestAccess:
    ALLOW = 'access: [{id: a, when: request.task == "ok", effect: allow, reason: fine}]\n'
    DENY = 'access: [{id: d, when: request.user == "eve", effect: deny, reason: no}]\n'

    def test_the_default_is_stated(self, company: Write) -> None:
        assert decide(company(ANY + self.ALLOW, access="allow")).allowed
        denied = decide(company(ANY + self.ALLOW, access="deny"))
        assert (denied.effect, denied.rule) == ("deny", "default")

    def test_deny_overrides_allow_in_any_layer(self, company: Write) -> None:
        for layers in ((self.ALLOW, self.DENY), (self.DENY, self.ALLOW)):
            engine = company(*(ANY + layer for layer in layers), access="deny")
            assert decide(engine, task="ok").allowed
            denied = decide(engine, task="ok", user="eve")
            assert not denied.allowed
            assert denied.rule.endswith("/d")

    def test_every_deny_is_collected(self, company: Write) -> None:
        engine = company(ANY + self.DENY, ANY + self.DENY)
        assert len(decide(engine, user="eve").reasons) == 2

    @pytest.mark.parametrize(("on_error", "effect"), [("deny", "deny"), ("skip", "allow")])
    def test_a_condition_that_fails_does_what_the_policy_says(self, company: Write, on_error: str, effect: str) -> None:
        kind = {"deny": "deny", "skip": "allow"}[on_error]  # a deny that can be skipped is refused when it is read
        rule = f"access: [{{id: d, when: 'request.metadata[\"n\"] > 3', effect: {kind}, reason: no}}]\n"
        decision = decide(company(f"on_error: {on_error}\n{rule}"), metadata={})
        assert decision.effect == effect
        assert [(failure.rule, failure.code) for failure in decision.errors] == [("p0/d", "CL902")]
        assert decision.errors[0].span is not None

    def test_access_rules_need_to_say_what_errors_do(self, company: Write) -> None:
        with pytest.raises(PolicyError, match="on_error"):
            company(self.DENY)


class TestRoutes:
    def test_first_match_over_layers(self, company: Write) -> None:
        engine = company(
            ANY + 'routes: [{id: a, when: request.task == "x", model: mini}]',
            ANY + 'routes: [{id: b, when: request.task == "x" || request.task == "y", model: large}]',
            more="admit: {deprecated_models: true}",
        )
        assert (decide(engine, task="x").model, decide(engine, task="x").rule) == ("mini", "p0/a")
        assert (decide(engine, task="y").model, decide(engine, task="y").rule) == ("large", "p1/b")
        assert (decide(engine, task="z").model, decide(engine, task="z").rule) == ("nano", "default")

    def test_a_failing_route_is_skipped_or_denies(self, company: Write) -> None:
        rules = "routes: [{id: a, when: 'request.metadata[\"n\"] == 1', model: mini}, {id: b, model: mini}]"
        skipped = decide(company(ANY + rules), metadata={})
        assert (skipped.rule, skipped.errors[0].rule) == ("p0/b", "p0/a")
        denied = decide(company("on_error: deny\n" + rules), metadata={})
        assert (denied.effect, denied.rule) == ("deny", "p0/a")

    def test_model_from_an_expression(self, company: Write) -> None:
        engine = company(ANY + "routes: [{id: a, when: has(request.model), model_from: request.model}]")
        assert decide(engine, model="mini-latest").model == "mini"
        denied = decide(engine, model="gpt-99")
        assert denied.excluded[0].reason == "the catalogue does not list it"

    def test_split_is_sticky_and_follows_its_weights(self, company: Write) -> None:
        split = "split: {key: request.user, salt: s, targets: [{model: nano, weight: 3}, {model: mini, weight: 1}]}"
        engine = company(ANY + f"routes: [{{id: a, {split}}}]")
        models = [decide(engine, user=f"user-{index}").model for index in range(4000)]
        assert models == [decide(engine, user=f"user-{index}").model for index in range(4000)]
        assert 0.72 < models.count("nano") / len(models) < 0.78

    def test_choice_minimises_and_maximises(self, company: Write) -> None:
        cheap = company(ANY + "routes: [{id: a, choose: {minimize: estimate.cost_usd}}]")
        assert (decide(cheap).model, decide(cheap).fallbacks) == ("nano", ("mini", "large"))
        best = company(ANY + "routes: [{id: a, choose: {maximize: 'model.quality[\"chat\"]'}}]")
        assert (decide(best).model, decide(best).fallbacks) == ("large", ("mini", "nano"))

    def test_choice_keeps_to_its_limits(self, company: Write) -> None:
        rule = (
            "routes: [{id: a, choose: {maximize: 'model.quality[\"chat\"]', "
            "limits: {max_latency_ms: 800, min_quality: 0.5, max_cost_usd: 1}}}]"
        )
        decision = decide(company(ANY + rule), task="chat")
        assert decision.model == "nano"
        assert {item.model: item.by for item in decision.excluded} == {"mini": "p0/a", "large": "p0/a"}

    def test_variables_are_those_of_their_policy(self, company: Write) -> None:
        layers = [
            ANY
            + f"variables: {{v: 'request.task == \"{task}\"'}}\nroutes: [{{id: a, when: variables.v, model: {model}}}]"
            for task, model in (("x", "mini"), ("y", "large"))
        ]
        engine = company(*layers)
        assert [decide(engine, task=task).model for task in "xyz"] == ["mini", "large", "nano"]


class TestCandidates:
    def test_who_cannot_serve_falls_out_with_a_reason(self, company: Write) -> None:
        engine = company(ANY, route="{models: [nano, mini, large]}")
        decision = decide(engine, prompt_tokens=40_000)
        assert decision.model == "large"
        assert [item.model for item in decision.excluded] == ["nano", "mini"]
        assert "context window of 8000" in decision.excluded[0].reason

    def test_output_limit_capability_budget_and_latency(self, company: Write) -> None:
        engine = company(ANY, route="{models: [nano, mini]}")
        assert "writes at most 2000" in decide(engine, max_output_tokens=3000).excluded[0].reason
        assert decide(engine, modalities=["image"]).model == "mini"
        assert decide(engine, response_format={"type": "json_object"}).fallbacks == ()
        assert decide(engine, cost_budget=0.0012).fallbacks == ()
        assert decide(engine, latency_budget_ms=500.0).fallbacks == ()
        nobody = decide(engine, cost_budget=0.0011)
        assert (nobody.effect, nobody.model, nobody.rule) == ("deny", None, "default")
        assert nobody.reasons[-1] == "candidates: none is left"

    def test_deprecated_retired_and_unknown_are_closed_by_default(self, company: Write) -> None:
        route = "{models: [large, nano]}"
        late = datetime(2026, 6, 1, tzinfo=UTC)
        assert decide(company(ANY, route=route)).model == "large"
        assert decide(company(ANY, route=route), now=late).model == "nano"
        admitting = company(ANY, route=route, more="admit: {deprecated_models: true}")
        assert decide(admitting, now=late).model == "large"
        assert decide(admitting, now=datetime(2027, 6, 1, tzinfo=UTC)).model == "nano"

    def test_fallbacks_are_limited(self, company: Write) -> None:
        assert decide(company(ANY, route="{models: [nano, mini, large]}", fallbacks=0)).fallbacks == ()

    def test_prices_follow_the_date_and_the_length(self, company: Write) -> None:
        engine = company(ANY, route="{model: large}")
        cost = lambda **more: decide(engine, **more).estimate.cost  # noqa: E731 - read five times below
        assert cost(now=datetime(2026, 1, 1, tzinfo=UTC)) == Decimal("0.013")
        assert cost() == Decimal("0.0065")
        assert cost(prompt_tokens=50_000) == Decimal("0.2515")
        assert cost(prompt_tokens=50_001) == Decimal("0.50201")
        assert cost(params={"n": 2}) == Decimal("0.008")


class TestBudgets:
    RULE = (
        "budgets:\n  - id: b\n    scope: request.user\n    hard_limit_usd: 1\n    window: {calendar: day}\n"
        "    thresholds:\n      - {at_ratio: 0.5, alert: half}\n      - {at_ratio: 0.8, downgrade: {models: [nano]}}\n"
    )

    def spent(self, amount: str, user: str = "u") -> dict[tuple[str, str], Balance]:
        return {("p0/b", user): Balance(Decimal(amount))}

    def test_the_thresholds_from_alert_to_denial(self, company: Write) -> None:
        engine = company(ANY + self.RULE, route="{model: mini, waive_terms_for: [downgrades]}")
        assert decide(engine, user="u").alerts == ()
        half = decide(engine, user="u", balances=self.spent("0.5"))
        assert ([alert.text for alert in half.alerts], half.model) == (["half"], "mini")
        down = decide(engine, user="u", balances=self.spent("0.9"))
        assert (down.model, down.excluded[0].by) == ("nano", "p0/b")
        assert "`p0/b` of `u` is past its threshold at" in down.excluded[0].reason
        assert down.to_dict()["excluded"][0]["threshold"] == str(down.excluded[0].threshold)
        full = decide(engine, user="u", balances=self.spent("0.9999"))
        assert full.effect == "deny"
        assert "has no room" in full.excluded[-1].reason

    def test_scopes_are_apart(self, company: Write) -> None:
        engine = company(ANY + self.RULE, route="{model: mini}")
        assert decide(engine, user="v", balances=self.spent("1")).allowed

    def test_the_limit_is_kept_to_the_last_digit(self, company: Write) -> None:
        engine = company(ANY + self.RULE)
        cost = decide(engine, user="u").estimate.cost
        assert decide(engine, user="u", balances=self.spent(str(1 - cost))).allowed
        assert not decide(engine, user="u", balances=self.spent(str(1 - cost + Decimal("1e-15")))).allowed

    def test_shadow_budgets_never_deny(self, company: Write) -> None:
        engine = company(ANY + self.RULE + "    shadow: true\n", route="{model: mini}")
        decision = decide(engine, user="u", balances=self.spent("5"))
        assert (decision.model, [alert.text for alert in decision.alerts]) == ("mini", ["half"])

    def test_one_call_has_a_limit_of_its_own(self, company: Write) -> None:
        engine = company(
            ANY + "budgets: [{id: b, hard_limit_usd: 0.002, window: {per_call: true}}]", route="{models: [mini, nano]}"
        )
        assert decide(engine).model == "nano"

    def test_a_limit_may_be_an_expression(self, company: Write) -> None:
        rule = (
            "budgets: [{id: b, hard_limit_tokens: 'request.user == \"vip\" ? 2000 : 1000', window: {per_call: true}}]"
        )
        engine = company(ANY + rule)
        assert decide(engine, user="vip").allowed
        assert not decide(engine).allowed

    def test_a_limit_that_is_no_amount_closes(self, company: Write) -> None:
        engine = company(ANY + "budgets: [{id: b, hard_limit_requests: '-1', window: {per_call: true}}]")
        decision = decide(engine)
        assert (decision.effect, decision.errors[0].code) == ("deny", "CL931")

    def test_routes_read_balances(self, company: Write) -> None:
        engine = company(
            ANY + "budgets: [{id: b, hard_limit_usd: 1, window: {calendar: day}}]\n"
            "routes: [{id: a, when: 'budgets[\"b\"].used_ratio > 0.9', model: nano}]",
            route="{model: mini}",
        )
        assert decide(engine, balances=self.spent("0.9", "")).model == "mini"
        assert decide(engine, balances=self.spent("0.91", "")).model == "nano"

    def test_at_the_end_of_the_calendar_nothing_is_forecast(self, company: Write) -> None:
        engine = company(
            ANY + "budgets: [{id: b, hard_limit_usd: 1, window: {calendar: day}}]\n"
            "routes: [{id: a, when: 'has(budgets[\"b\"].projected_ratio)', model: nano}]",
            route="{model: mini}",
        )
        last = datetime(9999, 12, 31, 12, tzinfo=UTC)
        decision = engine.decide({"user": "u", "prompt": "hello"}, balances=self.spent("0.9", ""), now=last)
        assert (decision.model, decision.errors) == ("mini", ())


class TestRewrites:
    def test_each_candidate_has_its_own_request(self, company: Write) -> None:
        rule = "rewrites: [{id: w, when: model.name == \"nano\", apply: [{prefix: {text: 'Be brief. '}}]}]"
        engine = company(ANY + rule, route="{models: [mini, nano]}")
        assert (decide(engine).prompt, decide(engine).rewrites) == ("hello", ())
        small = decide(engine, cost_budget=0.0015)
        assert (small.model, small.prompt, small.rewrites) == ("nano", "Be brief. hello", ("p0/w",))

    def test_the_rewritten_request_is_what_is_estimated(self, company: Write) -> None:
        engine = company(ANY + "rewrites: [{id: w, apply: [{clamp_params: {max_output_tokens: {max: 50}}}]}]")
        decision = decide(engine, max_output_tokens=5000)
        assert (decision.model, decision.params["max_output_tokens"], decision.estimate.output_tokens) == (
            "nano",
            50,
            50,
        )

    def test_given_tokens_move_with_the_rewrites(self, company: Write) -> None:
        engine = company(ANY + "rewrites: [{id: w, apply: [{prefix: {text: 'Always respond concisely. '}}]}]")
        decision = decide(engine)
        assert decision.estimate.basis == "request"
        assert 1003 <= decision.estimate.prompt_tokens <= 1008

    def test_the_callers_objects_are_left_alone(self, company: Write) -> None:
        engine = company(ANY + "rewrites: [{id: w, apply: [{prefix: {text: 'x'}}, {set_params: {temperature: 0}}]}]")
        request = {"messages": [{"role": "user", "content": "hello"}], "params": {"n": 1}}
        before = json.dumps(request)
        assert engine.decide(request, now=NOW).messages[0]["content"] == "xhello"
        assert json.dumps(request) == before

    def test_a_rewrite_that_fails_is_never_silent(self, company: Write) -> None:
        rule = "rewrites: [{id: w, apply: [{clamp_params: {n: {max: 1}}}]}]"
        denied = decide(company("on_error: deny\n" + rule), params={"n": "many"})
        assert (denied.effect, denied.rule, denied.errors[0].code) == ("deny", "p0/w", "CL951")

    def test_an_output_limit_nobody_asked_for_fits_the_model(self, company: Write) -> None:
        engine = company(ANY)
        engine.decide({"prompt": "x"}, now=NOW)
        assert engine.decide({"prompt": "x"}, now=NOW).params == {"max_output_tokens": 100}


class TestRecord:
    def test_a_decision_says_the_same_again(self, company: Write) -> None:
        engine = company(ANY + TestBudgets.RULE, route="{model: mini}")
        balances = {("p0/b", "u"): Balance(Decimal("0.9"))}
        first, second = (decide(engine, user="u", balances=balances).to_dict() for _ in range(2))
        assert json.dumps(first) == json.dumps(second)
        again = decide(
            engine,
            user="u",
            balances={(item["budget"], item["key"]): Balance(Decimal(item["used"])) for item in first["balances_read"]},
        )
        assert json.dumps(again.to_dict()) == json.dumps(first)

    def test_every_rule_has_an_outcome(self, company: Write) -> None:
        engine = company(
            ANY
            + 'routes: [{id: a, when: request.task == "x", model: mini}, {id: b, model: mini}, {id: c, model: nano}]'
        )
        stages = {stage.stage: stage for stage in decide(engine).record().stages}
        assert [str(rule.outcome) for rule in stages["routes"].rules] == ["not matched", "matched", "not reached"]
        assert ("request.task", '""') in stages["routes"].rules[0].parts

    def test_digests_ignore_formatting(self, company: Write) -> None:
        one = company(ANY + 'routes: [{id: a, when: request.task == "x", model: mini}]').plan
        two = company(
            "# a comment\n" + ANY + 'routes:\n  - when: request.task == "x"\n    id: a\n    model: mini\n'
        ).plan
        other = company(ANY + 'routes: [{id: a, when: request.task == "y", model: mini}]').plan
        assert one.policy_digest == two.policy_digest != other.policy_digest
        assert one.catalogue_digest == other.catalogue_digest


class TestRecordOfFailures:
    @pytest.mark.parametrize(
        ("sections", "rule"),
        [
            (
                'access: [{id: low, when: \'model.name > "" && request.metadata["n"] < 1\', effect: deny, reason: n}]\n'
                "routes: [{id: mini, model: mini}]\n",
                "p0/low",
            ),
            (
                "budgets: [{id: day, when: 'request.metadata[\"n\"] < 1', hard_limit_usd: 1, window: {calendar: day}}]",
                "p0/day",
            ),
            (
                "rewrites: [{id: brief, when: 'request.metadata[\"n\"] < 1', apply: [{prefix: {text: a}}]}]\n",
                "p0/brief",
            ),
        ],
    )
    def test_a_rule_that_failed_was_reached(self, company: Write, sections: str, rule: str) -> None:
        decision = decide(company("on_error: deny\n" + sections))
        assert decision.effect == "deny"
        assert [failure.rule for failure in decision.errors] == [rule]
        (record,) = (item for stage in decision.record().stages for item in stage.rules if item.id == rule)
        assert record.outcome.value == "failed"
        assert record.reason == "there is no `metadata`"
        assert record.condition is not None


class TestSharedVariables:
    VARIABLES = 'variables:\n  n: request.metadata["n"]\n  is_low: variables.n < 5\n'
    ROUTE = "routes: [{id: low, when: variables.is_low, model: mini}]\n"

    @pytest.mark.parametrize(("metadata", "errors"), [({"n": 9}, 0), ({}, 2)])
    def test_each_is_evaluated_once_for_all_policies(
        self, company: Write, metadata: dict[str, int], errors: int
    ) -> None:
        engine = company(ANY + self.ROUTE, ANY + self.ROUTE, more=self.VARIABLES)
        evaluated: list[str] = []
        for name, formula in engine.plan.variables.items():
            object.__setattr__(formula, "evaluate", _noting(name, evaluated, formula.evaluate))
        decision = decide(engine, metadata=metadata)
        assert decision.rule == "default"
        assert sorted(evaluated) == ["is_low", "n"]
        assert [failure.code for failure in decision.errors] == ["CL902"] * errors

    def test_an_error_stands_where_the_variable_does(self, company: Write) -> None:
        engine = company(ANY + self.ROUTE, more=self.VARIABLES)
        (failure,) = decide(engine, metadata={}).errors
        assert failure.span is not None
        assert failure.span.file.endswith("policy-set.yaml")
        assert failure.span.start.column == 6

    def test_the_default_route_reads_those_of_the_set_alone(self, company: Write) -> None:
        own = ANY + "variables: {target: '\"mini\"'}\n"
        engine = company(own, route="{model_from: variables.target}", more="variables: {target: '\"large\"'}\n")
        assert decide(engine).model == "large"

    def test_a_plan_travels_with_them(self, company: Write) -> None:
        engine = company(ANY + self.ROUTE, more=self.VARIABLES)
        decision = decide(engine, metadata={"n": 1})
        assert pickle.loads(pickle.dumps(decision)) == decision
        assert decision.rule == "p0/low"
        assert "variables.is_low" in str(decision.record())


def _noting(name: str, evaluated: list[str], evaluate: Any) -> Any:
    def noting(*values: Any) -> Any:
        evaluated.append(name)
        return evaluate(*values)

    return noting
