"""What `load`, `check`, `test`, `eval` and `decide` do where the operating system is not Linux: the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machines import pretend

ROOT = Path(__file__).parents[2]
REQUEST = {"task": "summarization", "prompt": "Ünïcödé — 😀", "user": "Zoë 😀", "team": "t"}
DECIDES = """
import sys
sys.path.insert(0, {root!r})
from tests.machines.pretend import take_away
take_away({machine!r})
import json
from costlens_policy import Guard, load
engine = load("policies")
decision = engine.decide(json.loads({request!r}))
with Guard(engine).call(json.loads({request!r})) as call:
    call.settle({{"prompt_tokens": 10, "completion_tokens": 5}})
print(decision.effect, decision.model, load("policies").plan.policy_digest == engine.plan.policy_digest)
"""


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("COSTLENS_", "PYTHON"))}
    given |= {"PYTHONPATH": str(ROOT), "PYTHONTZPATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache"), **environment}
    return subprocess.run([sys.executable, *arguments], cwd=tmp_path, env=given, capture_output=True, check=False)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "policies", tmp_path / "policies")
    (tmp_path / "request.json").write_text(json.dumps(REQUEST, ensure_ascii=False), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("machine", ["windows", "wasm"])
@pytest.mark.parametrize(
    "command",
    [
        "check policies",
        "test policies",
        "eval policies --request request.json --now 2026-11-01T00:00:00Z --explain",
        "eval policies --request request.json --now 2026-11-01T00:00:00Z --format json",
    ],
)
def test_commands_do_the_same(place: Path, machine: str, command: str) -> None:
    here = run(place, "-m", "costlens_policy", *command.split(), PYTHONIOENCODING="utf-8")
    there = run(place, pretend.__file__, machine, *command.split(), PYTHONIOENCODING="utf-8")
    assert (there.returncode, there.stderr.decode()) == (here.returncode, here.stderr.decode())
    assert there.returncode == 0
    assert there.stdout.decode() == here.stdout.decode()


@pytest.mark.parametrize("machine", ["windows", "wasm"])
def test_services_decide(place: Path, machine: str) -> None:
    script = DECIDES.format(root=str(ROOT), machine=machine, request=json.dumps(REQUEST))
    ran = run(place, "-c", script)
    assert ran.stderr.decode() == ""
    assert ran.stdout.decode().split()[::2] == ["allow", "True"]
    assert not (place / "cache").exists(), "nobody could say whose a kept plan is"


def test_the_cache_says_that_it_is_off(place: Path) -> None:
    ran = run(place, pretend.__file__, "windows", "cache")
    assert ran.stdout.decode().strip() == "the cache is off: this system has no file owners"


@pytest.mark.parametrize("encoding", ["cp437", "cp1252", "utf-8"])
def test_json_is_json_in_every_encoding(place: Path, encoding: str) -> None:
    arguments = ["eval", "policies", "--request", "request.json", "--now", "2026-11-01T00:00:00Z", "--format", "json"]
    ran = run(place, "-m", "costlens_policy", *arguments, PYTHONIOENCODING=encoding)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout.decode(encoding))["request"]["user"] == REQUEST["user"]


@pytest.mark.parametrize("command", ["check policies", "test policies"])
def test_lines_may_end_as_on_windows(place: Path, command: str) -> None:
    for file in (place / "policies").rglob("*.yaml"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    ran = run(place, "-m", "costlens_policy", *command.split())
    assert ran.returncode == 0, ran.stdout
