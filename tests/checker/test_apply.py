"""What routes apply on their own is examined as rewrites are, and together with them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from costlens_policy.checker import check_all
from tests.checker.repository import SET, codes, found, put, write

_WARM: Final = "apply: [{set_params: {temperature: 0.9}}]"
_COLD: Final = "apply: [{set_params: {temperature: 0.1}}]"
_A: Final = 'when: \'request.?task.orValue("") == "a"\''
_B: Final = 'when: \'request.?task.orValue("") == "b"\''
_WARM_A: Final = f"routes: [{{id: r, {_A}, model: large, {_WARM}}}]\n"


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        pytest.param(f"{_WARM_A}rewrites: [{{id: w, {_COLD}}}]", ["CL401"], id="meets"),
        pytest.param(f"{_WARM_A}rewrites: [{{id: w, merge: min, {_COLD}}}]", [], id="is merged"),
        pytest.param(f"{_WARM_A}rewrites: [{{id: w, {_B}, {_COLD}}}]", [], id="excludes"),
        pytest.param(
            f"""\
            routes: [{{id: first, {_A}, model: large}}, {{id: second, model: small, {_WARM}}}]
            rewrites: [{{id: w, {_A}, {_COLD}}}]
            """,
            [],
            id="an earlier route has come first",
        ),
        pytest.param(
            f"routes: [{{id: a, {_A}, model: large, {_WARM}}}, {{id: b, {_B}, model: small, {_COLD}}}]",
            [],
            id="one route decides",
        ),
        pytest.param(
            f"{_WARM_A}rewrites: [{{id: w, apply: [{{clamp_params: {{temperature: {{max: 1}}}}}}]}}]",
            [],
            id="is bounded",
        ),
        pytest.param(
            f"routes: [{{id: r, {_A}, model: large}}]\nrewrites: [{{id: w, merge: min, {_COLD}}}]",
            ["CL417"],
            id="no partner",
        ),
        pytest.param(
            f"routes: [{{id: r, {_A}, model: large, apply: [{{set_params: {{model: small}}}}]}}]",
            ["CL426"],
            id="steers",
        ),
        pytest.param(
            f"routes: [{{id: r, {_A}, model: large, apply: [{{template: {{text: '{{{{ x }}}}'}}}}]}}]",
            ["CL419"],
            id="unknown placeholder",
        ),
    ],
)
def test_what_a_route_applies(tmp_path: Path, policy: str, expected: list[str]) -> None:
    assert codes(write(tmp_path, policy)) == expected


def test_what_the_default_route_applies(tmp_path: Path) -> None:
    write(tmp_path, f"routes: [{{id: r, {_A}, model: large}}]\nrewrites: [{{id: w, {_COLD}}}]")
    put(tmp_path / "policy-set.yaml", SET.replace("model: small", f"model: small, {_WARM}"), "PolicySet", "company")
    assert found(tmp_path) == [("CL401", "`default` and `team/w` both set the parameter `temperature`")]


def test_a_policy_whose_route_redacts_protects(tmp_path: Path) -> None:
    redacts = f"routes: [{{id: r, {_A}, model: large, apply: [{{redact: {{kinds: [email]}}}}]}}]"
    write(tmp_path, f"routes: [{{id: r, {_A}, model: large}}]", other=redacts)
    (item,) = check_all(tmp_path).diagnostics
    assert item.is_error
    assert "its redaction is without effect" in item.label
