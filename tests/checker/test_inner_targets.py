"""Shares of splits and ways out of choices are examined as routes are, wherever they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.checker.repository import codes, write

_A: Final = 'when: \'request.?task.orValue("") == "a"\''
_NEXT: Final = "choose: {minimize: estimate.cost_usd, limits: {max_cost_usd: 1}, on_none: next}"
_COST: Final = "minimize: estimate.cost_usd"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        pytest.param(f"{{id: a, {_NEXT}}}, {{id: b, model: small}}", [], id="what follows `next` is reached"),
        pytest.param(
            "{id: a, choose: {minimize: estimate.cost_usd}}, {id: b, model: small}", ["CL412"], id="and only then"
        ),
        pytest.param(f"{{id: a, {_A}, {_NEXT}}}, {{id: b, {_A}, model: small}}", [], id="nor shadowed"),
        pytest.param(f"{{id: a, {_A}, choose: {{{_COST}, on_none: best}}}}", ["CL417"], id="no limit to put aside"),
        pytest.param(f"{{id: a, {_A}, choose: {{{_COST}, on_none: cheapest}}}}", [], id="another order"),
        pytest.param(
            f"{{id: a, {_A}, choose: {{{_COST}, on_none: {{model: smal}}}}}}",
            ["CL208"],
            id="an unknown model of a way out",
        ),
        pytest.param(
            f"{{id: a, {_A}, split: {{targets: [{{weight: 1, choose: {{among: model.nam == 'x', {_COST}}}}}, "
            "{weight: 1, model: small}]}}",
            ["CL302"],
            id="an expression of a share",
        ),
        pytest.param(
            f"{{id: a, {_A}, split: {{targets: [{{weight: 1, models: [small, small]}}, "
            "{weight: 1, model: small}]}}",
            ["CL408"],
            id="a model twice in a share",
        ),
        pytest.param(
            f"{{id: a, {_A}, split: {{targets: [{{id: p, weight: 1, model: small}}, "
            "{id: q, weight: 1, model: small}]}}",
            [],
            id="shares that have names may be alike",
        ),
        pytest.param(
            f"{{id: a, {_A}, split: {{targets: [{{weight: 1, model: small}}, {{weight: 1, model: large}}]}}, "
            "fallbacks: [small, large]}",
            [],
            id="shares that are the fallbacks of each other",
        ),
        pytest.param(
            f"{{id: a, {_A}, split: {{targets: [{{weight: 1, model: large}}, "
            "{weight: 1, model: small, apply: [{template: {text: '{{ x }}'}}]}]}}",
            ["CL419"],
            id="what a share applies",
        ),
        pytest.param(
            f"{{id: a, {_A}, choose: {{models: [small], {_COST}, on_none: {{choose: {{models: [small], {_COST}}}, "
            "fallbacks: [small]}}}",
            [],
            id="a fallback of a choice on the way out",
        ),
    ],
)
def test_inner_targets(tmp_path: Path, routes: str, expected: list[str]) -> None:
    assert codes(write(tmp_path, f"routes: [{routes}]")) == expected
