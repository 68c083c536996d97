"""What is an error for `check` and still decides: policies that mean something, and hardly what their author wants."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy import PolicyError, load
from costlens_policy.checker import check_all
from tests.engine.conftest import Write, company

__all__ = ["company"]

NEVER = '\'request.task == "a" && request.task == "b"\''
DENY = "on_error: deny\n"

MISTAKES = {
    "a deny that is skipped when it fails": (
        "on_error: skip\naccess: [{id: d, when: 'request.team == \"x\"', effect: deny, reason: no}]\n", "CL414"
    ),
    "a deny that never holds": (
        f"{DENY}access: [{{id: d, when: {NEVER}, effect: deny, reason: no}}]\n",
        "CL423",
    ),
    "a rule about models that never holds": (
        f"{DENY}access: [{{id: d, when: {NEVER}, only_models: [nano], reason: no}}]\n",
        "CL423",
    ),
    "a deny of everything": (DENY + "access: [{id: d, effect: deny, reason: closed}]\n", "CL425"),
}  # fmt: skip


@pytest.mark.parametrize(("policy", "code"), MISTAKES.values(), ids=MISTAKES)
def test_check_fails_and_load_warns(
    policy: str, code: str, company: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):  # a plan from the cache would be loaded without a word
        caplog.clear()
        engine = company(policy)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert code in caplog.text
    assert engine.decide({"prompt": "x"}).reasons
    assert code in {item.code for item in check_all(tmp_path).diagnostics if item.is_error}


def test_what_cannot_be_compiled_is_not_loaded(company: Write) -> None:
    with pytest.raises(PolicyError, match="CL302"):
        company(DENY + "access: [{id: d, when: request.tsk, effect: deny, reason: no}]\n")
    with pytest.raises(PolicyError):
        load(Path(__file__).parent / "nowhere")
