"""Promises about what is sent: none that is proved is broken by any call of a small world."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from costlens_policy import load
from costlens_policy.assurance import Every, Situation, Subject
from costlens_policy.compiler.plan import Plan
from costlens_policy.documents.invariants import ParameterBounds
from costlens_policy.documents.rewrites import Operation, Redact
from costlens_policy.engine.decide import decide
from costlens_policy.engine.decision import Balance, Decision
from costlens_policy.engine.facts import Call
from costlens_policy.errors import CostlensPolicyError
from costlens_policy.proof import Holds, Refuted, Unknown, prove
from costlens_policy.proof.claims import claims_of
from costlens_policy.proof.promises import find_promises
from costlens_policy.proof.sent import DATA
from costlens_policy.proof.verdicts import ways_of
from costlens_policy.rewrites import Content, compile_operation
from tests.soak import examples

NOW: Final = datetime(2026, 11, 2, 12, tzinfo=UTC)
SAMPLE: Final = 300
NAMES: Final = ("first", "second", "third", "fourth")
LIMIT: Final = 10

# Conditions of rules, over the tier and the model; one that fails for requests without a user.
CONDITIONS: Final = (None, None, 'request.tier == "free"', 'request.tier == "pro"', "model.external", "!model.external",
                     'request.user == "ann"')  # fmt: skip
OPERATIONS: Final[tuple[dict[str, Any], ...]] = (
    {"set_params": {"temperature": 0.2}}, {"set_params": {"temperature": 1.5}}, {"set_params": {"max_tokens": 300}},
    {"set_params": {"max_output_tokens": 900}}, {"clamp_params": {"temperature": {"max": 0.7}}},
    {"clamp_params": {"temperature": {"min": 0.5}}},
    {"clamp_params": {"max_output_tokens": {"max": 500}, "temperature": {"max": 1.2}}},
    {"clamp_params": {"max_output_tokens": {"min": 200, "max": 400}}}, {"remove_params": ["temperature"]},
    {"remove_params": ["max_output_tokens"]}, {"system": {"text": "Be kind."}},
    {"system": {"text": "Never lie.", "place": "before"}}, {"system": {"text": "Rules.", "place": "replace"}},
    {"prefix": {"text": "Write to bob@example.org: "}}, {"suffix": {"text": " Thanks."}},
    {"redact": {"kinds": ["email"]}}, {"redact": {"kinds": ["email", "phone"]}},
    {"redact": {"kinds": ["email"], "text": "me@example.com"}}, {"replace": {"pattern": "kind", "text": "a@b.example"}},
    {"set_params": {"stop": ["eve@example.net"]}},
)  # fmt: skip
CLAIMS: Final[tuple[dict[str, Any], ...]] = (
    {"params": {"temperature": {"max": 0.7, "optional": True}}}, {"params": {"temperature": {"max": 0.7}}},
    {"params": {"temperature": {"equals": 0.2}}}, {"params": {"temperature": {"absent": True}}},
    {"params": {"temperature": {"min": 0.5, "max": 1, "optional": True}}}, {"params": {"max_tokens": {"max": 500}}},
    {"params": {"max_output_tokens": {"min": 200}}}, {"params": {"max_output_tokens": {"equals": 300}}},
    *({"redacted": ["email"]} for _ in range(6)), {"system_contains": "Be kind."}, {"system_contains": "lie"},
    {"rewritten_in_order": ["rules/second", "rules/first"]}, {"rewritten_in_order": ["rules/first", "rules/third"]},
    {"rewritten_in_order": ["rules/fourth", "rules/first", "rules/second"]},
)  # fmt: skip
PRICES: Final = [{"usd_per_million_tokens": {"input": 1, "output": 2}}]
PROMPTS: Final = ("Hello.", "Ask ann@example.com.", "I am kind.")


@st.composite
def _documents(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    applied = st.lists(st.sampled_from(OPERATIONS), min_size=1, max_size=2)
    rewrites = []
    for name in NAMES:
        rule = {"id": name, "when": draw(st.sampled_from(CONDITIONS)), "apply": draw(applied)}
        merge = draw(st.sampled_from([None, None, None, "append", "min", "max", "set_once"]))
        rewrites.append({key: value for key, value in (rule | {"merge": merge}).items() if value is not None})
    route: dict[str, Any] = {"model": "small", "fallbacks": ["large"]}
    budget: dict[str, Any] = {"id": "b", "hard_limit_usd": LIMIT, "window": {"calendar": "month", "zone": "UTC"}}
    if draw(st.booleans()):
        route["apply"] = draw(applied)
    if draw(st.integers(0, 3)) == 0:
        budget["thresholds"] = [{"at_ratio": 0.5, "rewrite": draw(applied)}]
    invariant = {"id": "p", "title": "t"} | draw(st.sampled_from(CLAIMS))
    if (when := draw(st.sampled_from(CONDITIONS[:-1]))) is not None:
        invariant["when"] = when
    on_error = draw(st.sampled_from(["deny", "deny", "skip"]))
    models = {
        name: {"provider": "acme", "external": name == "large", "max_output_tokens": most, "prices": PRICES}
        for name, most in (("small", draw(st.sampled_from([250, 4000]))), ("large", 4000))
    }
    return {
        "rules": _document("Policy", on_error=on_error, rewrites=rewrites, budgets=[budget]),
        "models": _document("Catalogue", models=models),
        "set": _document(
            "PolicySet", policies=["rules.yaml"], catalogues=["models.yaml"],
            attributes={"tier": {"type": "string", "default": "free", "values": ["free", "pro"]}},
            defaults={"access": "allow", "route": route, "max_output_tokens": 600},
        ),
        "invariants": _document("Invariants", policy_set="set.yaml", invariants=[invariant]),
    }  # fmt: skip


def _document(kind: str, **content: Any) -> dict[str, Any]:
    head = {"apiVersion": "costlens-policy/v1", "kind": kind, "metadata": {"name": "rules", "version": "1"}}
    return head | content


def _situations() -> Iterator[tuple[dict[str, Any], Decimal]]:
    asked: tuple[dict[str, Any], ...] = (
        {}, {"temperature": 0.1}, {"temperature": 0.6}, {"temperature": 1.4}, {"max_tokens": 100},
        {"max_tokens": 2000}, {"temperature": None}, {"temperature": "hot"}, {"stop": ["x@y.example"]},
    )  # fmt: skip
    texts: list[dict[str, Any]] = [{"prompt": text} for text in PROMPTS]
    texts += [{"messages": [{"role": "user", "content": text}]} for text in PROMPTS[1:]]
    texts.append({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]})
    for tier, params, text, user in product(("free", "pro"), asked, texts, (None, "ann", "bob")):
        for used in (Decimal(0), Decimal(6)):
            yield (
                {"tier": tier, **text, **({"params": params} if params else {}), **({"user": user} if user else {})},
                used,
            )


EVERY: Final = tuple(_situations())


def _breaks(invariant: dict[str, Any], call: Decision | Call, request: dict[str, Any]) -> bool:
    when, external = invariant.get("when"), call.model == "large"
    applies = {None: True, "model.external": external, "!model.external": not external}
    if not applies.get(when, when is not None and f'"{request["tier"]}"' in when):
        return False
    if order := invariant.get("rewritten_in_order"):
        there = [rule for rule in call.rewrites if rule in order]
        return there != sorted(there, key=order.index)
    if "redacted" in invariant:
        return re.search(r"\w@\w", str((call.prompt, call.messages, call.system, dict(call.params)))) is not None
    if text := invariant.get("system_contains"):
        first = (call.messages or ({},))[0]
        system = (call.system, call.params.get("system"), first if first.get("role") == "system" else None)
        return text not in str(system)
    (name, bounds), *_ = invariant["params"].items()
    return _is_outside(bounds, call.params.get("max_output_tokens" if name == "max_tokens" else name))


def _is_outside(bounds: dict[str, Any], value: Any) -> bool:
    if value is None:
        return not (bounds.get("optional") or bounds.get("absent"))
    if "equals" in bounds or "absent" in bounds:
        return "absent" in bounds or value != bounds["equals"]
    return not isinstance(value, int | float) or not bounds.get("min", value) <= value <= bounds.get("max", value)


def _is_broken(plan: Plan, invariant: dict[str, Any], request: dict[str, Any], used: Decimal) -> bool:
    try:
        decision = decide(plan, request, {("rules/b", ""): Balance(used=used)}, NOW)
    except CostlensPolicyError:
        return False
    calls = (decision, *decision.fallback_calls) if decision.allowed else ()
    return any(_breaks(invariant, call, request) for call in calls)


def agree(documents: dict[str, dict[str, Any]], sample: int = SAMPLE) -> str:
    """Assert that a verdict agrees with trying requests; return what it is."""
    invariant = documents["invariants"]["invariants"][0]
    with TemporaryDirectory() as name:
        for stem, document in documents.items():
            (Path(name) / f"{stem}.yaml").write_text(json.dumps(document))
        proved = prove([Path(name)], now=NOW)
        assume(proved.proofs)
        plan = load(Path(name) / "set.yaml", cache=False).plan
    verdict = proved.proofs[0].verdict
    if isinstance(verdict, Holds):
        for request, used in random.Random(1).sample(EVERY, min(sample, len(EVERY))):
            assert not _is_broken(plan, invariant, request, used), (documents, request, used)
    elif isinstance(verdict, Refuted):
        used = next((balance.used for balance in verdict.witness.balances.values()), Decimal(0))
        request = {"tier": "free", **verdict.witness.request}
        assert _is_broken(plan, invariant, request, used), (documents, verdict)
    return type(verdict).__name__


@given(_documents())
@settings(max_examples=examples(5), deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_verdicts_agree_with_every_call_of_a_small_world(documents: dict[str, dict[str, Any]]) -> None:
    agree(documents)


def covered(documents: dict[str, dict[str, Any]], sample: int = SAMPLE) -> int:
    """Assert that whatever breaks a promise goes a way that is asked for it; return how many requests do."""
    with TemporaryDirectory() as name:
        for stem, document in documents.items():
            (Path(name) / f"{stem}.yaml").write_text(json.dumps(document))
        found = find_promises([Path(name)])
        assume(found.promises)
    (promises,) = found.promises
    subject = Subject(promises.bundle, NOW)
    (claim,) = claims_of(subject, promises.document, promises.expressions)
    ways = [(way, Every([broken, way.goal])) for way in ways_of(claim) if (broken := claim.broken_on(way)) is not None]
    count = 0
    for request, used in random.Random(2).sample(EVERY, min(sample, len(EVERY))):
        witness = subject.decided(Situation(request, {("rules/b", ""): Balance(used=used)}, NOW))
        breach = None if witness is None else claim.broken_by(witness)
        if witness is not None and breach is not None:
            count += 1
            met = [way.model for way, goal in ways if subject.meets(goal, witness.situation, way.model)]
            assert breach.model in met, (documents, request, used, breach)
    return count


@given(_documents())
@settings(max_examples=examples(5), deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
def test_what_breaks_a_promise_goes_a_way_that_is_asked(documents: dict[str, dict[str, Any]]) -> None:
    covered(documents, 60)


RULES: Final = {
    "redacts": {"redact": {"kinds": ["email", "phone"]}},
    "brings": {"prefix": {"text": "Phone: "}},
    "cleans": {"set_params": {"temperature": 0, "user": "nobody"}},
    "leaks": {"set_params": {"user": "ann@example.com"}},
    "caps": {"clamp_params": {"max_output_tokens": {"max": 400}}},
    "cools": {"clamp_params": {"temperature": {"max": 0.5}}},
    "heats": {"set_params": {"temperature": 0.9}},
    "tells": {"system": {"text": "Be kind."}},
    "adds": {"system": {"text": "Be brief.", "place": "before"}},
    "takes": {"system": {"text": "Be brief.", "place": "replace"}},
}


@pytest.mark.parametrize(
    ("rules", "claim", "kind"),
    [
        ("redacts cleans", {"redacted": ["email"]}, Holds),
        ("redacts brings", {"redacted": ["email"]}, Unknown),
        ("brings redacts", {"redacted": ["phone", "email"]}, Holds),
        ("redacts leaks", {"redacted": ["email"]}, Refuted),
        ("redacts", {"redacted": ["ipv4"]}, Refuted),
        ("tells adds", {"system_contains": "kind"}, Holds),
        ("tells takes", {"system_contains": "kind"}, Refuted),
        ("tells redacts", {"system_contains": "kind"}, Unknown),
        ("caps redacts", {"params": {"max_tokens": {"max": 400}}}, Holds),
        ("caps", {"params": {"max_tokens": {"absent": True}}}, Refuted),
        ("cools", {"params": {"temperature": {"max": 0.5, "optional": True}}}, Holds),
        ("cools", {"params": {"temperature": {"max": 0.5}}}, Refuted),
        ("cools heats:max", {"params": {"temperature": {"max": 0.5, "optional": True}}}, Refuted),
        ("cools heats:min", {"params": {"temperature": {"max": 0.5, "optional": True}}}, Holds),
        ("heats cools", {"params": {"temperature": {"max": 0.5}}}, Holds),
        ("tells adds", {"rewritten_in_order": ["rules/tells", "rules/adds"]}, Holds),
        ("adds tells", {"rewritten_in_order": ["rules/tells", "rules/adds"]}, Refuted),
    ],
)
def test_what_is_decided(rules: str, claim: dict[str, Any], kind: type, tmp_path: Path) -> None:
    written = [rule.partition(":") for rule in rules.split()]
    rewrites = [
        {"id": name, "apply": [RULES[name]], **({"merge": merge} if merge else {"merge": "append"} if place else {})}
        for place, (name, _, merge) in enumerate(written)
    ]
    assert isinstance(_decided(tmp_path, rewrites, claim, "deny"), kind)


def _decided(folder: Path, rewrites: list[dict[str, Any]], claim: dict[str, Any], on_error: str) -> object:
    documents = {
        "rules": _document("Policy", on_error=on_error, rewrites=rewrites),
        "models": _document("Catalogue", models={"small": {"provider": "acme", "prices": PRICES}}),
        "set": _document(
            "PolicySet", policies=["rules.yaml"], catalogues=["models.yaml"],
            defaults={"access": "allow", "route": {"model": "small"}, "max_output_tokens": 600},
        ),
        "invariants": _document("Invariants", policy_set="set.yaml", invariants=[{"id": "p", "title": "t", **claim}]),
    }  # fmt: skip
    for stem, document in documents.items():
        (folder / f"{stem}.yaml").write_text(json.dumps(document))
    found = prove([folder], now=NOW)
    assert not found.broken, found.diagnostics
    return found.proofs[0].verdict


def test_a_rule_that_may_be_skipped_keeps_no_promise(tmp_path: Path) -> None:
    claim = {"params": {"max_output_tokens": {"max": 400}}}
    both = [{"id": "both", "apply": [RULES["caps"], RULES["cools"]]}]
    assert isinstance(_decided(tmp_path, both, claim, "deny"), Holds)
    assert not isinstance(_decided(tmp_path, both, claim, "skip"), Holds)  # a temperature of "hot" skips the whole rule
    assert isinstance(_decided(tmp_path, [{"id": "caps", "apply": [RULES["caps"]]}], claim, "skip"), Holds)


@pytest.mark.parametrize("kind", sorted(DATA))
def test_there_is_a_text_of_each_kind_of_personal_data(kind: str) -> None:
    step = compile_operation(Operation(redact=Redact(kinds=(kind,))), {})  # type: ignore[arg-type]
    content, changes = step.apply(Content(f"Write to {DATA[kind]} today.", None, {}), ())
    assert changes
    assert DATA[kind] not in (content.prompt or "")


def test_bounds_are_compared_as_they_are_written() -> None:
    bounds = ParameterBounds.model_validate({"min": Decimal("0.7"), "max": 1})
    assert [bounds.judged(value) for value in (0.7, 1, 1.0, 0.6999, 1.01, True, "1", None)] == [
        "", "", "", "below", "above", "other", "other", "absent",
    ]  # fmt: skip
    for wrong in (
        {"min": 2, "max": 1},
        {"absent": True, "max": 1},
        {"absent": True, "optional": True},
    ):
        with pytest.raises(ValueError, match=r"must|stand"):
            ParameterBounds.model_validate(wrong)
