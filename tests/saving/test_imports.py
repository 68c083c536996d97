"""What a process imports: nothing to name the package, and no reader of policies to decide by a plan that was kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.saving.files import SETTING
from tests.conftest import ROOT
from tests.saving.plans import write_set

_HEAVY: Final = frozenset(
    (
        "lark", "celpy", "jsonschema", "yaml", "genai_prices", "pydantic", "polars", "rich", "click", "re2", "redis",
        "psycopg", "asyncio", "sqlite3", "ssl", "http", "email", "importlib.metadata",
    )
)  # fmt: skip
_READERS: Final = _HEAVY - {"click", "re2"}
"""What nothing but reading needs. The command is click's, and expressions may hold patterns."""


def _run(code: str, folder: Path, *arguments: str) -> tuple[str, set[str]]:
    """Run Python in a process of its own; return what it printed, and which modules it has imported."""
    ran = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{code}\nimport json, sys\nprint()\nprint(json.dumps(sorted(sys.modules)))",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=ROOT,
        env=os.environ | {SETTING: str(folder / "cache")},
    )
    printed, _, modules = ran.stdout.rstrip("\n").rpartition("\n")
    return printed, set(json.loads(modules))


def test_importing_the_package_loads_nothing_else(tmp_path: Path) -> None:
    _, modules = _run("import costlens_policy", tmp_path)
    assert not modules & _HEAVY
    ours = {name for name in modules if name.startswith("costlens_policy.")}
    assert ours == {"costlens_policy.on_demand", "costlens_policy.version"}


def test_every_public_name_can_be_had(tmp_path: Path) -> None:
    names = "import costlens_policy as it; print([name for name in it.__all__ if not hasattr(it, name)])"
    assert _run(names, tmp_path)[0].strip() == "[]"


_LATER: Final = frozenset(
    (
        "logging", "difflib", "zoneinfo", "uuid", "platform", "hashlib", "subprocess", "tempfile",
        "costlens_policy.compiler", "costlens_policy.engine", "costlens_policy.expressions", "costlens_policy.saving",
    )
)  # fmt: skip
"""What engines, failures and warnings need, when there are any."""


def test_errors_and_a_loader_load_no_reader(tmp_path: Path) -> None:
    code = "from costlens_policy import Engine, PolicyError, RequestError, Router, load, load_plan"
    assert not _run(code, tmp_path)[1] & (_READERS | _LATER)


_DECIDED: Final = """
import sys
from costlens_policy import load
load(sys.argv[1]).decide({"task": "summarization", "prompt": "Two words"})
"""


def test_a_decision_by_a_kept_plan_loads_neither_a_reader_nor_what_failures_need(tmp_path: Path) -> None:
    _run(_DECIDED, tmp_path, "policies")
    assert not _run(_DECIDED, tmp_path, "policies")[1] & (_READERS | {"logging", "difflib", "zoneinfo", "uuid"})


@pytest.mark.parametrize(
    "code",
    ["from costlens_policy import Guard", "from costlens_policy.guard import Guard", "import costlens_policy.ledger"],
)
def test_a_guard_loads_no_reader_no_driver_and_nothing_for_other_kinds_of_programs(code: str, tmp_path: Path) -> None:
    assert not _run(code, tmp_path)[1] & _READERS


_GUARDED: Final = """
import sys
from costlens_policy import Guard, load
engine = load(sys.argv[1])
with Guard(engine) as guard, guard.call({"task": "summarization", "prompt": "Two words"}) as call:
    call.settle(output_text="Yes.")
"""


def test_a_guarded_call_by_a_kept_plan_loads_no_reader(tmp_path: Path) -> None:
    _run(_GUARDED, tmp_path, "policies")
    assert not _run(_GUARDED, tmp_path, "policies")[1] & _READERS


_READER: Final = "costlens_policy.checker.whole"
_EVAL: Final = """
import sys
from costlens_policy.cli import main
code = main(["eval", sys.argv[1], "--request", sys.argv[2], "--now", "2026-05-01T09:00:00Z", *sys.argv[3:]])
print(f"exit {code}")
"""


@pytest.mark.parametrize(
    ("policies", "options"),
    [("policies", ()), ("policies", ("--explain",)), (None, ("--format", "json"))],
    ids=["text", "explained", "json"],
)
def test_eval_by_a_kept_plan_loads_no_reader(tmp_path: Path, policies: str | None, options: tuple[str, ...]) -> None:
    place = policies or str(write_set(tmp_path / "small"))
    request = tmp_path / "request.json"
    request.write_text('{"task": "summarization", "prompt": "Say it in a word: a@b.example"}', encoding="utf-8")
    fresh, modules = _run(_EVAL, tmp_path, place, str(request), *options, "--no-cache")
    assert _READER in modules
    assert "exit 0" in fresh
    for _ in range(4):  # the first keeps the plan; and where somebody edits this checkout meanwhile, another one does
        kept, modules = _run(_EVAL, tmp_path, place, str(request), *options)
        assert kept == fresh
        if _READER not in modules:
            break
    assert not modules & {*_READERS, _READER, "costlens_policy.documents.document"}
