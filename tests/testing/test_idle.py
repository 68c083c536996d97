"""What changes nothing in a suite is told, and what only looks like it is not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from costlens_policy.testing import Run

RunText = Callable[..., Run]

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
        [],
    ),
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
