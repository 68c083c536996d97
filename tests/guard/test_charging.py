"""From what providers report to what is charged."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from costlens_policy import Guard
from costlens_policy.ledger import EntryQuery, MemoryStore
from tests.fuzz.usages import mutated
from tests.guard.company import REQUEST

SEEDS = sorted((Path(__file__).parents[1] / "fuzz" / "corpus" / "usages").iterdir())

POLICY = """
budgets:
  - {id: usd, hard_limit_usd: 100, window: {lifetime: true}}
  - {id: tokens, hard_limit_tokens: 100000000, window: {lifetime: true}}
  - {id: requests, hard_limit_requests: 1000, window: {lifetime: true}}
"""


@pytest.fixture
def settled(company):
    """Return a function that settles one call on `large`, and gives the charge and what the budgets have used."""

    def settle(*arguments, **options):
        guard = Guard(company(POLICY, models="large, mini"), "memory:", alert_sinks=[])
        with guard.call(REQUEST) as call:
            charged = call.settle(*arguments, **options)
        return charged, [line.used for line in guard.spend()]

    return settle


OPENAI = {
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "prompt_tokens_details": {"cached_tokens": 400},
    "completion_tokens_details": {"reasoning_tokens": 40},
}
OPENAI_COST = Decimal("0.0049")  # 600 * 5 + 400 * 0.5 + 60 * 15 + 40 * 20 millionths


class Model:
    """An SDK's object, as pydantic makes them."""

    def __init__(self, **fields):
        self._fields = fields

    def model_dump(self):
        return self._fields

    def __getattr__(self, name):
        try:
            return self._fields[name]
        except KeyError:
            raise AttributeError(name) from None


@pytest.mark.parametrize(
    ("usage", "tokens", "cost"),
    [
        (OPENAI, 1100, OPENAI_COST),
        (Model(**OPENAI), 1100, OPENAI_COST),
        ({"id": "x", "usage": OPENAI}, 1100, OPENAI_COST),
        (SimpleNamespace(usage=Model(**OPENAI), model="large-2026-05-01"), 1100, OPENAI_COST),
        ({"input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100}, 1100, Decimal("0.0065")),
        (
            {
                "input_tokens": 100,
                "output_tokens": 100,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 400,
            },
            1100,
            Decimal("0.00465"),
        ),
        (
            {"usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 60, "thoughtsTokenCount": 40}},
            1100,
            Decimal("0.0067"),
        ),
        ({"usage": {"inputTokens": 1000, "outputTokens": 100}}, 1100, Decimal("0.0065")),
    ],
)
def test_every_shape(settled, usage, tokens, cost):
    charged, used = settled(usage)
    assert (charged.basis, charged.cost, charged.notes) == ("reported", cost, ())
    assert used == [cost, tokens, 1]


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": -1}, {"prompt_tokens": "many"}, {"weird": 1}, 7, "text", float("nan"), object(),
     {"prompt_tokens": 0, "completion_tokens": 0}, {"prompt_tokens": None, "completion_tokens": None},
     {"prompt_tokens": 1, "completion_tokens": None}, {"completion_tokens": 7}, {"prompt_tokens": 10**20},
     {"prompt_tokens": 10**40}, {"prompt_tokens": "1"}, {"prompt_tokens": True}, {"prompt_tokens": 1.5},
     {"type": "duration", "seconds": 12.5}, {"billed_units": {"search_units": 1}}, Model(usage=Model())],
)  # fmt: skip
def test_what_cannot_be_read_is_charged_as_held(settled, usage):
    charged, used = settled(usage)
    assert (charged.basis, charged.usage) == ("assumed", None)
    assert charged.notes
    assert used == [Decimal("0.008"), 1100, 1]


@pytest.mark.parametrize("tier", ["\ud800", "x" * 100_000, "a\nb", "\x00"])
def test_a_tier_that_no_ledger_can_hold_is_noted(settled, tier):
    charged, _ = settled({"usage": OPENAI, "service_tier": tier})
    assert (charged.basis, charged.cost) == ("reported", OPENAI_COST)
    assert "service tier" in charged.notes[0]


def test_an_object_that_cannot_be_read_is_charged_as_held(settled):
    class Hostile:
        def __getattr__(self, name):
            raise RuntimeError("not to be read")

    cyclic: dict = {"prompt_tokens": 1}
    cyclic["details"] = cyclic
    for usage in (Hostile(), cyclic):
        assert settled(usage)[0].basis == "assumed"


def test_unknown_tokens_are_charged_at_the_dearest_rate(settled):
    """On `large`, reasoning costs most."""
    charged, used = settled({**OPENAI, "hologram_tokens": 50})
    assert charged.cost == OPENAI_COST + Decimal("0.001")
    assert used[1] == 1150
    assert "`hologram_tokens` (50)" in charged.notes[0]
    charged, _ = settled({**OPENAI, "hologram_tokens": 50, "total_tokens": 1100})
    assert charged.cost == OPENAI_COST
    assert "its total shows that it is part" in charged.notes[0]


@pytest.mark.parametrize(
    ("said", "model", "cost", "note"),
    [
        ("large", "large", OPENAI_COST, ""),
        ("openai/large", "large", OPENAI_COST, ""),
        ("large-2026-05-01", "large", OPENAI_COST, ""),
        ("large@20260501", "large", OPENAI_COST, ""),
        ("nano", "large", OPENAI_COST, "`nano`, but `large` was asked; charged as `large`, the more expensive"),
        ("free", "large", OPENAI_COST, "`free`, but `large` was asked"),
        ("mini", "mini", None, ""),  # a fallback that the decision lists
        ("unheard-of", "large", OPENAI_COST, "`unheard-of`, which the catalogue does not list"),
    ],
)
def test_who_answered(company, said, model, cost, note):
    guard = Guard(company(POLICY, models="large, mini"), "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        charged = call.settle({"model": said, "usage": OPENAI})
    assert charged.model == model
    assert cost is None or charged.cost == cost
    assert note in "".join(charged.notes)
    assert bool(note) == bool(charged.notes)


def test_a_dearer_model_answered(company):
    guard = Guard(company(POLICY, models="nano"), "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        charged = call.settle(SimpleNamespace(model="acme/large", usage=Model(**OPENAI)))
    assert (charged.model, charged.cost) == ("large", OPENAI_COST)
    note = "the response names `large`, but `nano` was asked; charged as `large`, the more expensive"
    assert charged.notes == (note,)


def test_what_is_not_understood_is_logged_once_for_a_shape(settled, caplog):
    for tokens in (7, 8, 9):
        settled({**OPENAI, "blah_tokens": tokens})
    assert sum("blah_tokens" in record.message for record in caplog.records) == 1


def test_whatever_is_sent_is_charged(company):
    """No object raises, and none is taken for a call that cost nothing."""
    policy = "budgets:\n  - {id: usd, hard_limit_usd: 100000000000, window: {lifetime: true}}\n"
    guard = Guard(company(policy, models="large"), "memory:", alert_sinks=[])
    seeds = [json.loads(path.read_bytes()) for path in SEEDS]
    for number in range(400):
        usage = mutated(seeds[number % len(seeds)], random.Random(number))
        with guard.call({**REQUEST, "prompt_tokens": 100}) as call:
            charged = call.settle(usage)
        assert charged.cost > 0, usage
        assert charged.basis == "reported" or charged.notes


def test_estimated_from_text(settled):
    charged, used = settled(output_text="one two three")
    assert charged.basis == "estimated"
    assert used[1] == 1000 + charged.usage.output
    assert 1 < charged.usage.output < 10
    several, _ = settled(output_text=["one two three", "one two three"])
    assert several.usage.output == 2 * charged.usage.output


def test_a_usage_comes_before_a_text(settled):
    charged, _ = settled(OPENAI, output_text="x")
    assert (charged.basis, charged.cost, charged.notes) == ("reported", OPENAI_COST, ())
    charged, _ = settled({**OPENAI, "prompt_tokens": 30_000}, output_text=iter(["x", "y"]))
    assert charged.cost == OPENAI_COST + Decimal("0.145")


@pytest.mark.parametrize("usage", [{"odd": 1}, {"prompt_tokens": 1000, "completion_tokens": -5}, {}])
def test_a_usage_that_is_not_understood_counts_no_less_than_the_text(settled, usage):
    worst, _ = settled()
    charged, _ = settled(usage, output_text="x")
    assert (charged.basis, charged.cost) == ("assumed", worst.cost)
    assert charged.notes
    text = "some words " * 2000
    estimated, _ = settled(output_text=text)
    charged, used = settled(usage, output_text=text)
    assert charged.cost == estimated.cost > worst.cost
    assert used[0] == charged.cost


@pytest.mark.parametrize("output", [0, 1])
def test_a_usage_that_the_text_belies_counts_at_its_worst(settled, output):
    usage = {"prompt_tokens": 1000, "completion_tokens": output, "total_tokens": 1000 + output}
    charged, _ = settled(usage, output_text="some words " * 50)
    assert charged.basis == "assumed"
    assert "output" in charged.notes[0]


def test_a_doubtful_usage_is_the_least_that_is_charged(settled):
    """The worst case was held for a shorter prompt than the one that is reported."""
    usage = {"prompt_tokens": 90_000, "completion_tokens": 0, "total_tokens": 90_000}
    charged, used = settled(usage, output_text="some words")
    assert charged.basis == "assumed"
    assert charged.cost == used[0] == Decimal("0.45")
    assert used[1] == 90_000


def test_what_was_added_is_charged_though_nothing_else_is(company):
    guard = Guard(company(POLICY, models="large"), "memory:", alert_sinks=[])
    with guard.call(REQUEST) as call:
        call.add(OPENAI)
    assert (call.charged.basis, call.charged.cost) == ("reported", OPENAI_COST)
    call = guard.call(REQUEST)
    call.add(OPENAI)
    call.release()
    call.release()
    assert guard.spend()[0].used == 2 * OPENAI_COST
    assert all(line.held == 0 for line in guard.spend())


def test_a_further_model_of_the_provider(settled):
    usage = {
        "input_tokens": 100,
        "output_tokens": 10,
        "iterations": [{"model": "mini", "input_tokens": 1000, "output_tokens": 10}],
    }
    charged, used = settled(usage)
    assert charged.cost == Decimal("0.00065") + Decimal("0.00208")
    assert used == [charged.cost, 1120, 1]
    usage["iterations"][0]["model"] = "unheard-of"
    charged, used = settled(usage)
    assert charged.notes == ("`unheard-of`: it has no price, so it is charged as `large`",)
    assert used[0] == Decimal("0.00065") + Decimal("0.00515"), "what has no price is not free"


def test_facts_are_kept(company, clock):
    store = MemoryStore()
    guard = Guard(company(POLICY, models="large"), store, alert_sinks=[], clock=clock)
    with guard.call({**REQUEST, "feature": "chat"}) as call:
        call.settle({**OPENAI, "service_tier": "flex"})
    entry = store.entries(EntryQuery()).items[0]
    assert entry.call == call.id
    facts = dict(entry.facts)
    assert facts.pop("policy")
    assert facts == {
        "model": "large", "rule": "default", "tokens": [1000, 100], "team": "red", "feature": "chat",
        "basis": "reported", "cost_usd": "0.0049", "shape": "openai-chat", "service_tier": "flex",
        "usage": {"input": 600, "cache_read": 400, "output": 60, "reasoning": 40},
    }  # fmt: skip


def test_the_share_and_the_way_out_are_kept(company, clock):
    choose = "choose: {models: [large], minimize: estimate.cost_usd, limits: {max_cost_usd: 0}, on_none: best}"
    inner = (
        f"{{id: trial, weight: 1, split: {{targets: [{{id: a, weight: 1, {choose}}}, {{model: mini, weight: 0}}]}}}}"
    )
    route = f"routes: [{{id: r, split: {{targets: [{inner}, {{model: mini, weight: 0}}]}}}}]\n"
    store = MemoryStore()
    guard = Guard(company(route + POLICY, models="large"), store, alert_sinks=[], clock=clock)
    with guard.call(REQUEST) as call:
        call.settle(OPENAI)
    facts = store.entries(EntryQuery()).items[0].facts
    assert (facts["rule"], facts["share"], facts["way_out"]) == ("p/r", "trial/a", "best")


def test_usage_of_providers(company, shared_data):
    """Whatever provider sent it, a usage object can be settled, and tokens are neither lost nor counted twice."""
    guard = Guard(company(POLICY.replace("1000,", "100000,"), models="large"), "memory:", alert_sinks=[])
    rows = json.loads((shared_data / "provider_usage" / "usages_even.json").read_text(encoding="utf-8"))
    bases, tokens = [], 0
    for row in rows:
        with guard.call(REQUEST) as call:
            charged = call.settle(row["body"])
        bases.append(charged.basis)
        tokens += charged.budgets[1].amount
    assert len(bases) == len(rows) > 700
    assert bases.count("reported") > 0.95 * len(rows)
    assert guard.spend("tokens")[0].used == tokens
    assert guard.spend("requests")[0].used == len(rows)
