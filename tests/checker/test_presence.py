"""What an expression may count on: the condition of its rule, the variables it reads, and the catalogue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checker.repository import diagnostics, put, write


def missing(folder: Path) -> list[str]:
    """Return what may be missing, in the order of the text."""
    found = diagnostics(folder)
    assert {item.code for item in found} <= {"CL314", "CL415"}, "only a choice that no model wins may be reported, too"
    return [item.message.split("`")[1] for item in found if item.code == "CL314"]


GUARDED = [
    "routes: [{id: a, when: has(request.task), model_from: request.task}]",
    """
    routes:
      - id: a
        when: has(request.user)
        split: {key: request.user, targets: [{model: small, weight: 1}, {model: large, weight: 1}]}
    """,
    "routes: [{id: a, when: has(request.team), choose: {among: request.team != model.name, minimize: '1'}}]",
    "budgets: [{id: a, when: has(request.team), scope: request.team, hard_limit_usd: 5, window: {calendar: day}}]",
    """
    budgets:
      - id: a
        when: has(request.cost_budget)
        hard_limit_usd: request.cost_budget * 10.0
        window: {calendar: day}
    """,
    """
    budgets:
      - id: a
        when: has(request.team)
        hard_limit_usd: 5
        window: {calendar: day}
        thresholds: [{at_ratio: 0.5, downgrade: {exclude: model.name != request.team, models: [small]}}]
    """,
    """
    rewrites:
      - id: a
        when: has(request.team)
        apply: [{template: {text: "{{ prompt }} {{ who }}", values: {who: request.team}}}]
    """,
]


@pytest.mark.parametrize("policy", GUARDED)
def test_the_condition_of_a_rule_guards_its_parts(tmp_path: Path, policy: str) -> None:
    assert missing(write(tmp_path / "guarded", policy)) == []
    bare = policy.replace("has(", "size('x') > 0 || has(")
    assert len(missing(write(tmp_path / "bare", bare))) == 1


def test_what_earlier_routes_keep_guards_later_ones(tmp_path: Path) -> None:
    routes = """
    on_error: deny
    routes:
      - {id: nobody, when: '!has(request.team)', model: small}
      - {id: growth, when: request.team == "growth", model: large}
    """
    assert missing(write(tmp_path / "kept", routes)) == []
    assert missing(write(tmp_path / "failing", routes.replace("on_error: deny", "on_error: skip"))) == ["request.team"]
    assert missing(write(tmp_path / "turned", routes.replace("!has", "has"))) == ["request.team"]


def test_the_model_that_was_asked_for_has_a_name(tmp_path: Path) -> None:
    route = "routes: [{id: a, when: has(request.asked_model), model_from: request.model}]"
    assert missing(write(tmp_path / "asked", route)) == []
    provider = """'request.?asked_model.provider.orValue("") == "acme"'"""
    assert missing(write(tmp_path / "default", route.replace("has(request.asked_model)", provider))) == []
    other = provider.replace("==", "!=")
    assert missing(write(tmp_path / "other", route.replace("has(request.asked_model)", other))) == ["request.model"]


def test_a_condition_does_not_guard_other_rules(tmp_path: Path) -> None:
    policy = """
    routes:
      - {id: a, when: has(request.task), model: large}
      - {id: b, when: request.task == "x", model: large}
    """
    assert missing(write(tmp_path, policy)) == ["request.task"]


def test_a_variable_guards_by_what_it_asks(tmp_path: Path) -> None:
    policy = """
    variables:
      named: has(request.team)
      research: variables.named && request.team == "research"
      either: variables.named || has(request.user)
    routes:
      - {id: a, when: variables.research && request.team.size() > 3, model: large}
      - {id: b, when: '!variables.named || request.team == "x"', model: large}
      - {id: c, when: variables.named, model_from: request.team}
      - {id: d, when: variables.either && request.user == "x", model: large}
      - {id: e, when: '!variables.named && request.team == "y"', model: large}
    """
    assert missing(write(tmp_path, policy)) == ["request.user", "request.team"]


RATES = "routes: [{id: a, when: has(request.task), choose: {among: MODEL > 1.0, minimize: MODEL}}]"
REWRITE = "rewrites: [{id: a, when: MODEL > 1.0, apply: [{prefix: {text: x}}]}]"
UNKNOWN = "  local: {provider: acme}\n"


@pytest.mark.parametrize("fact", ["model.input_usd_per_million_tokens", "model.latency_p50_ms"])
def test_facts_of_models_where_models_are_compared(tmp_path: Path, fact: str) -> None:
    assert missing(write(tmp_path, RATES.replace("MODEL", fact))) == []


def test_what_every_model_of_the_catalogue_has_is_present(tmp_path: Path) -> None:
    priced = REWRITE.replace("MODEL", "model.input_usd_per_million_tokens")
    assert missing(write(tmp_path / "all", priced)) == []
    latency = REWRITE.replace("MODEL", "model.latency_p50_ms")
    assert missing(write(tmp_path / "none", latency)) == ["model.latency_p50_ms"]
    admitted = "admit: {unknown_models: true}\n"
    assert missing(write(tmp_path / "unknown", priced, admitted)) == ["model.input_usd_per_million_tokens"]


def test_a_model_without_a_price_leaves_prices_out(tmp_path: Path) -> None:
    folder = write(
        tmp_path, REWRITE.replace("MODEL", "model.input_usd_per_million_tokens"), "admit: {unpriced_models: true}\n"
    )
    text = (folder / "catalogue.yaml").read_text().split("\n", 3)[3]
    put(folder / "catalogue.yaml", text + UNKNOWN, "Catalogue", "models")
    found = [item for item in diagnostics(folder) if item.code == "CL314"]
    assert [item.message.split("`")[1] for item in found] == ["model.input_usd_per_million_tokens"]


@pytest.mark.parametrize("admitted", ["", "admit: {unpriced_models: true}\n"])
def test_an_estimate_without_a_cost_just_falls_out(tmp_path: Path, admitted: str) -> None:
    policy = "routes: [{id: a, when: has(request.task), choose: {minimize: estimate.cost_usd}}]"
    assert missing(write(tmp_path, policy, admitted)) == []


ATTRIBUTES = """
attributes:
  headers: {type: 'map(string, string)'}
  prices: {type: 'list(map(string, double))'}
"""

UNGUARDED = [
    # an optional read proves nothing for another part of the condition
    ('request.?user.orValue("") == "root" || request.user.startsWith("svc-")', ["request.user"]),
    ('request.?user.orValue("") == "" && request.user == "x"', ["request.user"]),
    (
        'request.?metadata.?tier.orValue("") == "a" || request.metadata.tier == "b"',
        ["request.metadata", "request.metadata.tier"],
    ),
    # nor does another operand of `||`, another branch, another path, or another variable
    ('has(request.user) || request.user == "x"', ["request.user"]),
    ('has(request.user) ? true : request.user == "x"', ["request.user"]),
    ('has(request.team) && request.user == "x"', ["request.user"]),
    ('["a"].exists(t, has(request.user)) && request.user == "x"', ["request.user"]),
    ('!has(request.user) && request.user == "x"', ["request.user"]),
    # keys of maps are read like attributes
    ('has(request.headers) && request.headers["x-tier"] == "p"', ['request.headers["x-tier"]']),
    ('has(request.headers) && request.headers.tier == "p"', ["request.headers.tier"]),
    ('has(request.metadata) && request.metadata.tier == "x"', ["request.metadata.tier"]),
    ('has(request.metadata) && request.metadata["tier"] == "x"', ['request.metadata["tier"]']),
    (
        'has(request.metadata.user) && request.metadata.user.tier == "x"',
        ["request.metadata", "request.metadata.user.tier"],
    ),
    ('has(request.headers) && "y" in request.headers && request.headers["x"] == "1"', ['request.headers["x"]']),
    ('has(request.headers) && ("x" in request.headers || request.headers["x"] == "1")', ['request.headers["x"]']),
    (
        'has(request.headers) && request.headers[?"x"].orValue("") == "" && request.headers["x"] == "a"',
        ['request.headers["x"]'],
    ),
    ('has(request.headers) && ["x", "y"].exists(k, request.headers[k] == "1")', ["request.headers[k]"]),
    (
        'has(request.headers) && request.headers.exists(k, true) && request.headers["k"] == "1"',
        ['request.headers["k"]'],
    ),
    ("has(request.prices) && request.prices.exists(p, p.input > 1.0)", ["p.input"]),
    ('has(request.task) && {"a": 1, "b": 2}[request.task] > 1', ['{"a": 1, "b": 2}[request.task]']),
]


@pytest.mark.parametrize(("condition", "may_be_missing"), UNGUARDED)
def test_what_proves_nothing(tmp_path: Path, condition: str, may_be_missing: list[str]) -> None:
    policy = f"routes:\n  - {{id: a, when: '{condition}', model: large}}\n"
    found = [item for item in diagnostics(write(tmp_path, policy, ATTRIBUTES)) if item.code == "CL314"]
    told = [item.message.removeprefix("`").removesuffix("` may be missing") for item in found]
    assert told == may_be_missing


@pytest.mark.parametrize(
    "condition",
    [
        'has(request.user) && request.user == "x"',
        'request.user == "x" && has(request.user)',
        'request.?user.orValue("").startsWith("svc-")',
        'request.?user.hasValue() && request.user == "x"',
        'request.?user.optMap(u, request.user + u).orValue("") == "xx"',
        'has(request.headers) && request.headers[?"x"].orValue("") == "p"',
        'has(request.headers) && "x" in request.headers && request.headers["x"] == "p"',
        'has(request.headers) && has(request.headers.x) && request.headers["x"] == "p"',
        'has(request.headers) && "x" in request.headers && request.headers.x == "p"',
        'has(request.headers) && ("x" in request.headers ? request.headers["x"] == "p" : false)',
        'has(request.headers) && (!("x" in request.headers) || request.headers["x"] == "p")',
        'has(request.headers) && request.headers.exists(k, request.headers[k] == "p")',
        'has(request.headers) && ["x"].exists(k, k in request.headers && request.headers[k] == "p")',
        "has(request.headers) && has(request.task) && request.task in request.headers"
        ' && request.headers[request.task] == "p"',
        "has(request.metadata) && has(request.metadata.user) && has(request.metadata.user.tier)"
        " && request.metadata.user.tier == 1",
        "request.?metadata.?user.?tier.orValue(0) == 1",
        'has(request.prices) && request.prices.exists(p, "input" in p && p.input > 1.0)',
        'has(request.messages) && request.messages.exists(m, m.role == "user")',
        '{"a": 1}["a"] == 1 && {"a": 1}.a == 1',
    ],
)
def test_what_proves_that_it_is_there(tmp_path: Path, condition: str) -> None:
    policy = f"routes:\n  - {{id: a, when: '{condition}', model: large}}\n"
    found = diagnostics(write(tmp_path, policy, ATTRIBUTES))
    assert [item.message for item in found if item.code == "CL314" or item.is_error] == []


@pytest.mark.parametrize(
    ("values", "condition", "may_be_missing"),
    [
        ("[gold, silver]", "data.tiers[request.tier] > 1", []),
        ("[gold]", "data.tiers[request.tier] > 1", []),
        ("[gold, bronze]", "data.tiers[request.tier] > 1", ["data.tiers[request.tier]"]),
        ("[gold, silver]", "data.tiers[request.tier + ''] > 1", ["data.tiers[request.tier + '']"]),
        ("[gold, silver]", "data.tiers[request.task] > 1", ["data.tiers[request.task]", "request.task"]),
    ],
)
def test_a_table_has_a_row_for_each_value_that_an_attribute_may_take(
    tmp_path: Path, values: str, condition: str, may_be_missing: list[str]
) -> None:
    declared = f"attributes: {{tier: {{type: string, required: true, values: {values}}}}}\ndata: [tiers.yaml]\n"
    write(tmp_path, f'routes: [{{id: a, when: "{condition}", model: large}}]', declared)
    put(tmp_path / "tiers.yaml", "data: {gold: 1, silver: 2}\n", "Data", "tiers")
    assert missing(tmp_path) == may_be_missing


def test_a_table_in_which_only_some_rows_have_a_column(tmp_path: Path) -> None:
    declared = "attributes: {tier: {type: string, required: true, values: [gold, silver]}}\ndata: [tiers.yaml]\n"
    write(tmp_path, 'routes: [{id: a, when: "data.tiers[request.tier].usd > 1", model: large}]', declared)
    put(tmp_path / "tiers.yaml", "data: {gold: {usd: 1}, silver: {}}\n", "Data", "tiers")
    assert missing(tmp_path) == ["data.tiers[request.tier].usd"]


ROUTES = """
variables: {gold: "data.tiers[request.team] > 1"}
rewrites: [{id: r, when: variables.gold, apply: [{suffix: {text: x}}]}]
routes: [{id: a, when: "data.tiers[request.team] > 1", model: large}]
budgets: [{id: b, scope: request.team, hard_limit_usd: "data.tiers[request.team] * 2", window: {calendar: day}}]
"""
READS = ["data.tiers[request.team]", "request.team"]
KNOWN = "!has(request.team) || !(request.team in data.tiers)"


@pytest.mark.parametrize(
    ("on_error", "rule", "is_assured"),
    [
        ("deny", f"when: '{KNOWN}', effect: deny", True),
        ("deny", "when: '!(has(request.team) && request.team in data.tiers)', effect: deny", True),
        ("deny", "when: '!variables.known', effect: deny", True),
        ("skip", f"when: '{KNOWN}', effect: deny", False),
        ("deny", f"when: '!({KNOWN})', effect: allow", False),
        ("deny", f"when: '({KNOWN}) && has(request.user)', effect: deny", False),
        ("deny", f"when: '({KNOWN}) && model.name != \"small\"', effect: deny", False),
        ("deny", f"when: '{KNOWN}', only: model.name == \"small\"", False),
    ],
)
def test_what_access_refuses_is_there_afterward(tmp_path: Path, on_error: str, rule: str, is_assured: bool) -> None:
    write(tmp_path, ROUTES, "data: [tiers.yaml]\n")
    put(tmp_path / "tiers.yaml", "data: {gold: 1, silver: 2}\n", "Data", "tiers")
    access = f"""\
variables: {{known: has(request.team) && request.team in data.tiers}}
on_error: {on_error}
access: [{{id: a, {rule}, reason: r}}]
"""
    put(tmp_path / "access.yaml", access, "Policy", "access")
    text = (tmp_path / "policy-set.yaml").read_text().replace("[policy.yaml]", "[access.yaml, policy.yaml]")
    (tmp_path / "policy-set.yaml").write_text(text)
    assert sorted({item.message.split("`")[1] for item in diagnostics(tmp_path) if item.code == "CL314"}) == (
        [] if is_assured else READS
    )


def test_a_variable_of_another_policy_assures_nothing(tmp_path: Path) -> None:
    policy = """
    variables: {name: 'request.?user.orValue("")'}
    routes: [{id: a, when: "data.tiers[variables.name] > 1", model: large}]
    """
    write(tmp_path, policy, "data: [tiers.yaml]\n")
    put(tmp_path / "tiers.yaml", "data: {gold: 1, silver: 2}\n", "Data", "tiers")
    access = """\
variables: {name: 'request.?team.orValue("")'}
on_error: deny
access: [{id: a, when: "!(variables.name in data.tiers)", effect: deny, reason: r}]
"""
    put(tmp_path / "access.yaml", access, "Policy", "access")
    text = (tmp_path / "policy-set.yaml").read_text().replace("[policy.yaml]", "[access.yaml, policy.yaml]")
    (tmp_path / "policy-set.yaml").write_text(text)
    assert [item.message.split("`")[1] for item in diagnostics(tmp_path)] == ["data.tiers[variables.name]"]


def test_conditions_of_access_are_examined_by_themselves(tmp_path: Path) -> None:
    policy = """
    on_error: deny
    access:
      - {id: a, when: '!has(request.team)', effect: deny, reason: r}
      - {id: b, when: request.team == "x", effect: deny, reason: r}
      - {id: c, only: model.name != request.team, reason: r}
    """
    found = diagnostics(write(tmp_path, policy))
    assert [item.message.split("`")[1] for item in found if item.code == "CL314"] == ["request.team"]
