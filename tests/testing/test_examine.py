"""What changes nothing in a suite is told, and what only looks like it is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from costlens_policy.testing import Run

RunText = Callable[..., Run]

CASES = {
    "CL601": ("cases: [{name: a, fixtures: [tset], expect: {effect: allow}}]\nfixtures: {test: {}}", "tset", "`test`"),
    "CL602": ("cases: [{name: a, expect: {rule: routing/reviw}}]", "routing/reviw", "`routing/review`"),
    "CL603": ("cases: [{name: a, expect: {fallbacks: [smal]}}]", "smal", "`small`"),
    "CL604": (
        "cases: [{name: a, balances: [{budget: team-montly, used: 1}], expect: {effect: allow}}]",
        "team-montly",
        "`spend/team-monthly`",
    ),
    "CL605": ("cases: [{name: a, request: {tsak: x}, expect: {effect: allow}}]", "tsak", "`task`"),
    "CL606": (
        'matrix: [{name: "${teir}", axes: {tier: [free]}, expect: {effect: allow}}]',
        "teir",
        "`tier`",
    ),
    "CL607": (
        "cases: [{name: one, expect: {effect: allow}}, {name: one, expect: {effect: allow}}]",
        "one",
        "unique name",
    ),
    "CL608": ("cases: []", "trial", "add a case"),
    "CL611": (
        "defaults: {balances: [{budget: team-monthly, used: 0+1x5, every: 1m}]}\n"
        "cases: [{name: a, now: +9m, expect: {effect: allow}}]",
        "0+1x5",
        "every",
    ),
    "CL612": ("covers: [rooting]\ncases: [{name: a, expect: {effect: allow}}]", "rooting", "`routing`"),
    "CL613": (
        'matrix: [{name: "${tier}", axes: {tier: [free]}, expect: {effect: "${tier}"}}]',
        "${tier}",
        "",
    ),
    "CL614": (
        'matrix: [{name: "${tier}", axes: {tier: [free]}, except: [{tier: fre}], expect: {effect: allow}}]',
        "tier",
        "correct",
    ),
    "CL616": ("cases: [{name: a, expect: {errors: [CL999]}}]", "CL999", ""),
}


@pytest.mark.parametrize("code", CASES)
def test_each_code_points_at_the_word_to_blame(code: str, run_text: RunText) -> None:
    body, word, help = CASES[code]
    run = run_text(body)
    (diagnostic,) = run.diagnostics
    assert diagnostic.code == code
    assert diagnostic.span is not None
    source = run.sources["trial_test.yaml"]
    assert source.text[diagnostic.span.start.offset : diagnostic.span.end.offset].strip("\"'") == word
    assert help in diagnostic.help
    assert run.exit_code == 1


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{rewrites: [routing/review]}", "`routing/review` is not a rewrite or budget"),
        ("{alerts: [access/no-bots]}", "`access/no-bots` is not a budget"),
    ],
)
def test_a_rule_of_another_kind_is_told_apart(expect: str, message: str, run_text: RunText) -> None:
    (diagnostic,) = run_text(f"cases: [{{name: a, expect: {expect}}}]").diagnostics
    assert (diagnostic.code, diagnostic.message) == ("CL602", message)


def test_earlier_periods_count_only_where_something_is_carried_over(run_text: RunText) -> None:
    balances = "balances: [{budget: team-monthly, key: core, used: 1, earlier: [2]}]"
    (diagnostic,) = run_text(f"cases: [{{name: a, {balances}, expect: {{effect: allow}}}}]").diagnostics
    assert (diagnostic.code, diagnostic.help) == ("CL611", "it has no `carry_over`")


def test_a_rule_without_its_policy_is_completed(run_text: RunText) -> None:
    (diagnostic,) = run_text("cases: [{name: a, targets: [review], expect: {effect: allow}}]").diagnostics
    assert diagnostic.help == "did you mean `routing/review`?"


def test_every_problem_is_collected(run_text: RunText) -> None:
    body = """defaults: {request: {tsak: x}, targets: [a/b], balances: [{budget: c, used: 1}]}
cases:
  - {name: a, fixtures: [d], request: {taks: x}, expect: {model: e, excluded: {f: ""}, rule: g/h}}
"""
    codes = [item.code for item in run_text(body).diagnostics]
    assert codes == ["CL605", "CL602", "CL604", "CL601", "CL605", "CL603", "CL603", "CL602"]


@pytest.mark.parametrize(
    "request_of_it",
    ["{prompt: use <m>house-llama</m> here}", "{messages: [{role: user, content: [{text: house-llama}]}]}"],
)
def test_a_model_may_be_named_anywhere_in_the_request(run_text: RunText, request_of_it: str) -> None:
    body = f"cases: [{{name: a, request: {request_of_it}, expect: {{excluded: {{NAME: x}}}}}}]"
    named, misspelled = (run_text(body.replace("NAME", name)).diagnostics for name in ("house-llama", "house-lama"))
    assert [[item.code for item in found] for found in (named, misspelled)] == [[], ["CL603"]]


def test_a_matrix_reports_each_problem_once(run_text: RunText) -> None:
    body = """matrix:
  - name: "${n} ${m}"
    axes: {n: [1, 2, 3], m: [1, 2, 3]}
    request: {prompt: "${n}"}
    expect: {model: lagre}
"""
    assert [item.code for item in run_text(body).diagnostics] == ["CL603"]


def test_combinations_need_different_names(run_text: RunText) -> None:
    (diagnostic,) = run_text("matrix: [{name: a, axes: {n: [1, 2, 3]}, expect: {effect: allow}}]").diagnostics
    assert diagnostic.code == "CL607"
    assert "several combinations" in diagnostic.message


def test_a_matrix_has_a_limit(run_text: RunText) -> None:
    values = list(range(101))
    body = f"matrix: [{{name: a, axes: {{n: {values}, m: {values}}}, expect: {{effect: allow}}}}]"
    (diagnostic,) = run_text(body).diagnostics
    assert (diagnostic.code, "got 10,201" in diagnostic.message) == ("CL609", True)


def test_an_invalid_pattern_of_a_matrix_is_found(run_text: RunText) -> None:
    body = """matrix:
  - name: "${p}"
    axes: {p: ["(?!x)"]}
    expect: {prompt: {matches: "${p}"}}
"""
    assert [item.code for item in run_text(body).diagnostics] == ["CL615"]
    assert {item.code for item in run_text('cases: [{name: a, expect: {system: {matches: "("}}}]').diagnostics} <= {
        "CL615",
        "CL109",
    }


def test_a_model_that_only_the_request_names_may_be_expected(run_text: RunText) -> None:
    body = "cases: [{name: a, request: {metadata: {}, feature: gpt-9}, expect: {excluded: {gpt-9: x}}}]"
    run = run_text(body)
    assert not run.diagnostics
    assert run.exit_code == 4


ALLOW = "expect: {effect: allow}"
ONE = "cases:\n  - {name: a, request: {task: summary, prompt: x}, " + ALLOW + "}\n"
SHAPES = [
    ("fixtures: {f: {team: core}}\n" + ONE, ["CL617"]),
    ("fixtures: {f: {team: core}}\ncases: [{name: a, fixtures: [f], request: {prompt: x}, " + ALLOW + "}]", []),
    ("fixtures: {f: {team: core}}\ncases: [{name: a, fixtures: [f], request: {team: b}, " + ALLOW + "}]", ["CL618"]),
    ("fixtures: {f: {team: core}}\ncases: [{name: a, fixtures: [f], request: {team: null}, " + ALLOW + "}]", ["CL618"]),
    ("fixtures: {f: {team: core}}\ncases: [{name: a, fixtures: [f, f], " + ALLOW + "}]", ["CL618", "CL618"]),
    ("fixtures: {f: {}}\ncases: [{name: a, fixtures: [f], " + ALLOW + "}]", ["CL618"]),
    ("fixtures: {f: {team: a}, g: {team: b}}\ncases: [{name: a, fixtures: [f, g], " + ALLOW + "}]", ["CL618"]),
    (
        "fixtures: {f: {team: a, prompt: x}, g: {team: b}}\ncases: [{name: a, fixtures: [f, g], " + ALLOW + "}]",
        [],
    ),
    (
        "fixtures: {f: {team: a, prompt: x}, g: {team: b, prompt: x, task: summary}}\n"
        "cases: [{name: a, fixtures: [f, g], " + ALLOW + "}]",
        [],
    ),
    (
        "fixtures: {f: {metadata: {a: 1}}, g: {metadata: {b: 2}}}\ncases: [{name: a, fixtures: [f, g], " + ALLOW + "}]",
        [],
    ),
    ("defaults: {request: {task: review}}\n" + ONE, ["CL618"]),
    ("defaults: {request: {task: review, team: core}}\n" + ONE, ["CL618"]),
    ("defaults: {request: {task: review}}\n" + ONE + "  - {name: b, request: {prompt: z}, " + ALLOW + "}\n", []),
    (ONE + "  - {name: b, request: {prompt: x, task: summary}, " + ALLOW + "}\n", ["CL619"]),
    (ONE + "  - {name: b, request: {task: summary, prompt: x}, now: +1m, " + ALLOW + "}\n", []),
    (
        "matrix:\n  - name: '${t}'\n    axes: {t: [a, b]}\n    request: {prompt: x}\n    " + ALLOW,
        ["CL618"],
    ),
    (
        "matrix:\n  - name: '${row.t}'\n    axes: {row: [{t: a}, {t: b}]}\n    request: {prompt: x, team: '${row.t}'}\n"
        "    " + ALLOW,
        [],
    ),
    (
        "cases:\n  - name: a\n    request: {team: guests, prompt: x}\n    expect: {effect: deny}\n"
        "    balances: [{budget: team-monthly, key: guests, used: 1}]",
        ["CL618"],
    ),
    ("coverage: 1\n" + ONE, ["CL450"]),
    ("coverage: {rules: 1}\n" + ONE, ["CL450"]),
    ("coverage: 0\n" + ONE, []),
    ("cases: [{name: a, request: {prompt: x}, expect: {estimate: {min_cost_usd: 0}}}]", ["CL620"]),
    ("cases: [{name: a, request: {prompt: x}, expect: {estimate: {min_cost_usd: 0.001, max_cost_usd: 1}}}]", []),
    (
        "fixtures: {f: {tier: free}}\nmatrix:\n  - name: '${t}'\n    axes: {t: [free, premium]}\n    fixtures: [f]\n"
        "    request: {prompt: x, tier: '${t}'}\n    " + ALLOW,
        ["CL618"],
    ),
    ("cases: [{name: a, request: {prompt: x}, expect: {prompt: {matches: '.*'}}}]", ["CL620"]),
    ("cases: [{name: a, request: {prompt: x}, expect: {prompt: {matches: 'a*|b'}}}]", ["CL620"]),
    ("cases: [{name: a, request: {prompt: x}, expect: {prompt: {matches: '^x*$'}}}]", []),
    ("cases: [{name: a, request: {prompt: x}, expect: {prompt: {matches: 'x+'}}}]", []),
    (
        "cases:\n  - name: a\n    request: {prompt: x, team: core}\n    " + ALLOW + "\n    balances:\n"
        "      - {budget: team-monthly, key: core, used: 1}\n      - {budget: spend/team-monthly, key: core, used: 2}",
        ["CL618"],
    ),
    (
        "defaults: {balances: [{budget: team-monthly, key: core, used: 1}]}\ncases:\n  - name: a\n"
        "    request: {prompt: x, team: core}\n    " + ALLOW + "\n"
        "    balances: [{budget: team-monthly, key: core, used: 2}]",
        ["CL618"],
    ),
]


@pytest.mark.parametrize(("body", "codes"), SHAPES)
def test_what_changes_nothing(run_text: RunText, body: str, codes: list[str]) -> None:
    run = run_text(body)
    assert [item.code for item in run.diagnostics] == codes
    assert not any(item.is_error for item in run.diagnostics)
    assert run.suites, "a warning keeps no suite from running"


def test_what_is_measured_is_examined(run_text: RunText) -> None:
    entry = "{budget: %s, model: %s, task: review, output_tokens: 100, cases: 9, ratio: 0.5}"
    text = "cases: [{name: a, measured: [%s], expect: {effect: allow}}]"
    for named, code in ((("team-montly", "small"), "CL604"), (("team-monthly", "smal"), "CL603")):
        assert code in {item.code for item in run_text(text % (entry % named)).diagnostics}
    (idle,) = run_text(text % (entry % ("team-monthly", "small"))).diagnostics
    assert (idle.code, "holds the worst case of each call" in idle.message) == ("CL618", True)
