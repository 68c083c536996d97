# ruff: noqa: E501
"""What takes the force out of a policy is an error, and its sound twin is not even warned of."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checker.repository import SET, diagnostics, put, write

KILLED = {
    "a deny that contradicts itself": (
        "allow",
        'on_error: deny\naccess: [{id: a, when: \'has(request.team) && request.team == "a" && request.team == "b"\', '
        "effect: deny, reason: closed}]",
        "on_error: deny\naccess: [{id: a, when: 'has(request.team) && request.team == \"a\"', "
        "effect: deny, reason: closed}]",
        "CL423",
    ),
    "a deny that is skipped where a conversion fails": (
        "allow",
        "on_error: skip\naccess: [{id: a, when: 'int(request.?team.orValue(\"\")) > 1', effect: deny, reason: closed}]",
        "on_error: deny\naccess: [{id: a, when: 'int(request.?team.orValue(\"\")) > 1', effect: deny, reason: closed}]",
        "CL414",
    ),
    "a deny for all": (
        "allow",
        "on_error: deny\naccess: [{id: a, effect: deny, reason: closed}]",
        "on_error: deny\naccess: [{id: a, when: has(request.team), effect: deny, reason: closed}]",
        "CL425",
    ),
    "a default to deny, and nothing that allows": (
        "deny",
        "on_error: deny\naccess: [{id: a, when: has(request.team), effect: deny, reason: closed}]",
        "on_error: deny\naccess: [{id: a, when: has(request.team), effect: allow, reason: open}]",
        "CL425",
    ),
    "a default to deny, and an allow that a deny overrules": (
        "deny",
        'on_error: deny\naccess:\n  - {id: a, when: \'request.?team.orValue("") == "a"\', effect: allow, reason: open}\n'
        '  - {id: b, when: \'request.?team.orValue("") in ["a", "b"]\', effect: deny, reason: closed}',
        'on_error: deny\naccess:\n  - {id: a, when: \'request.?team.orValue("") == "a"\', effect: allow, reason: open}\n'
        '  - {id: b, when: \'request.?team.orValue("") in ["c", "b"]\', effect: deny, reason: closed}',
        "CL425",
    ),
}


@pytest.mark.parametrize("name", KILLED)
def test_an_error_and_its_sound_twin(tmp_path: Path, name: str) -> None:
    default, killed, sound, code = KILLED[name]
    for folder, policy in (("killed", killed), ("sound", sound)):
        write(tmp_path / folder, policy)
        put(tmp_path / folder / "policy-set.yaml", SET.replace("access: allow", f"access: {default}"), "PolicySet", "s")
    assert code in {item.code for item in diagnostics(tmp_path / "killed") if item.is_error}
    assert diagnostics(tmp_path / "sound") == ()
