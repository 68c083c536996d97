"""The figures of the structure: on a package made for it, and on this one."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from benchmarks.structure import CATALOGUES, folder_of, main, moves_of, read_tree
from tests.conftest import ROOT


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a package of two modules that import each other, a page that one of them needs, and a catalogue."""
    files = {
        "__init__.py": '"""A house."""\n',
        "door.py": """\
            \"\"\"Where one enters.\"\"\"

            from typing import TYPE_CHECKING

            from house.page import shown
            from house.rewrites import personal_data

            if TYPE_CHECKING:
                from house.hall import Hall

            __all__ = ["enter"]

            LIMIT = 3


            def enter(number):
                return sorted([shown(number), shown(LIMIT)], key=shown)
        """,
        "hall.py": """\
            import house.door


            @property
            class Hall:
                pass
        """,
        "page.py": "def shown(number):\n    return str(number)\n",
        "guard/__init__.py": "from house.guard.inner import VALUE\n",
        "guard/inner.py": "VALUE = 1\n",
        "rewrites/__init__.py": "",
        "rewrites/personal_data/__init__.py": "from house.rewrites.personal_data import table\n",
        "rewrites/personal_data/table.py": "from house.rewrites.personal_data import log\n",
        "rewrites/personal_data/log.py": "KIND = 1\n",
    }
    for name, text in files.items():
        path = tmp_path / "house" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path / "house"
    for name in [name for name in sys.modules if name.partition(".")[0] == "house"]:
        del sys.modules[name]


def test_a_header_ends_at_the_first_definition(package: Path) -> None:
    modules = read_tree(package).modules
    headers = {name: module.header for name, module in modules.items()}
    assert headers["house.door"] == 12
    assert headers["house.hall"] == 3  # a decorator belongs to what it decorates
    assert headers["house.page"] == 0
    assert headers["house.guard"] == modules["house.guard"].lines  # nothing but an import


def test_a_sibling_has_one_importer_beside_it(package: Path) -> None:
    tree = read_tree(package)
    assert "rewrites.personal_data" in CATALOGUES
    assert tree.siblings() == [
        ("house.door", "house.hall"),
        ("house.hall", "house.door"),
        ("house.page", "house.door"),
    ]


def test_circles_are_found_through_imports_for_type_checkers(package: Path) -> None:
    assert read_tree(package).circles() == [["house.door", "house.hall"]]


def test_moves_are_calls_between_files_and_leave_no_profiler_behind(package: Path) -> None:
    door = importlib.import_module("house.door")
    assert moves_of(lambda: door.enter(1), package) == (2, 4)  # two calls, and two by `sorted` for its keys
    assert moves_of(lambda: sorted([1]), package) == (0, 0)
    before = sys.getprofile()
    with pytest.raises(TypeError):
        moves_of(lambda: door.enter(), package)
    assert sys.getprofile() is before


def test_the_working_tree_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    section = json.loads(capsys.readouterr().out)
    figures = {row["what"]: row["working tree"] for row in section["rows"]}
    assert figures["files"] == len(list((ROOT / "costlens_policy").rglob("*.py")))
    for what in ("decision", "guarded call"):
        assert 1 < figures[f"files of a {what}"] < figures[f"moves of a {what}"]


def test_a_revision_is_measured_as_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    counted = subprocess.run(
        ["git", "ls-tree", "-r", "--name-only", "HEAD", "costlens_policy"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if counted.returncode != 0:
        pytest.skip("the tests do not run in a git checkout")
    with folder_of("HEAD") as folder:
        assert len(read_tree(folder / "costlens_policy").modules) == counted.stdout.count(".py\n")
    assert main(["no-such-revision"]) == 1
    assert "no-such-revision" in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--jsno"]) == 2
    assert "usage: python -m benchmarks.structure" in capsys.readouterr().err
