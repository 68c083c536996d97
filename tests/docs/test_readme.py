"""The README is followed in its order, from an installation of its own to the first decision, to the last digit.

The environment is clean: a virtual one with a copy of the package in it, beside the libraries that are installed here.
With ``COSTLENS_INSTALL=1`` it is what ``pip install .`` makes of a copy of the checkout, which takes a package index.
"""

from __future__ import annotations

import os
import re
import shutil
import site
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.walkthrough import Block, blocks, even

README = ROOT / "README.md"


@dataclass(frozen=True)
class Shell:
    """Runs commands in a folder of a clean environment."""

    environment: Path
    folder: Path

    def run(self, command: str) -> str:
        clean = {"PATH": f"{self.environment / 'bin'}:/usr/bin:/bin", "HOME": str(self.environment), "NO_COLOR": "1"}
        clean |= {"COLUMNS": "120", "LC_ALL": "C.UTF-8", "COSTLENS_POLICY_CACHE": "off"}
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=clean,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.stdout + done.stderr

    def into(self, name: str) -> Shell:
        return replace(self, folder=self.folder / name)


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    folder = tmp_path_factory.mktemp("readme")
    clone, environment = folder / "clone", folder / "clone" / ".venv"
    clone.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clone / name)
    shutil.copytree(ROOT / "costlens_policy", clone / "costlens_policy", ignore=shutil.ignore_patterns("__pycache__"))
    if os.environ.get("COSTLENS_INSTALL") == "1":
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        subprocess.run([environment / "bin" / "pip", "install", "--quiet", "."], cwd=clone, check=True)
    else:
        _imitate(environment, clone)
    return Shell(environment, clone)


def _imitate(environment: Path, clone: Path) -> None:
    """Make what an installation makes, without an index: the package, its libraries, and the command."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = (environment / "lib").glob("python*/site-packages")
    shutil.copytree(clone / "costlens_policy", packages / "costlens_policy")
    libraries = [path for path in (*site.getsitepackages(), site.getusersitepackages()) if os.path.isdir(path)]
    (packages / "libraries.pth").write_text("".join(f"{path}\n" for path in libraries))
    command = environment / "bin" / "costlens-policy"
    python = environment / "bin" / "python"
    command.write_text(f"#!{python}\nimport sys\nfrom costlens_policy.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)


@pytest.fixture(scope="module")
def started(shell: Shell) -> Shell:
    """Return the shell after ``init`` and ``cd``, as the README says them."""
    commands = [line[2:] for block in _console() for line in block.text.splitlines() if line.startswith("$ ")]
    assert commands[:2] == ["python3 -m venv .venv && . .venv/bin/activate", "pip install ."]
    assert [command.split()[:2] for command in commands[2:4]] == [["make", "demo"], ["make", "test"]]
    assert commands[4:6] == ["costlens-policy init my-policies", "cd my-policies"]
    assert shell.run(commands[4]).startswith("wrote ")
    return shell.into("my-policies")


def _console() -> list[Block]:
    return [block for block in blocks(README.read_text(encoding="utf-8")) if block.language == "console"]


def _shown() -> Iterator[tuple[str, str]]:
    """Yield the commands of the README after ``cd``, with what it shows of their output."""
    for block in _console():
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            if command.startswith("costlens-policy ") and " init " not in command:
                yield command, output


def test_the_commands_print_what_is_shown(started: Shell, request: pytest.FixtureRequest) -> None:
    text = README.read_text(encoding="utf-8")
    for command, output in _shown():
        printed = started.run(command)
        if " test " in command:  # coverage and summary follow
            assert printed.startswith(output)
        elif request.config.getoption("--update-golden"):
            text = text.replace(f"$ {command}\n{output}", f"$ {command}\n{printed}")
        else:
            assert even(printed) == even(output)
    if request.config.getoption("--update-golden"):
        README.write_text(text, encoding="utf-8")


def test_the_mistake_is_shown_at_its_line(started: Shell) -> None:
    (shown,) = (block.text for block in blocks(README.read_text(encoding="utf-8")) if "error[CL302]" in block.text)
    policy = started.folder / "policies" / "routing.yaml"
    right = policy.read_text()
    policy.write_text(right.replace("request.tier", "request.teir"))
    printed = started.run("costlens-policy check .")
    policy.write_text(right)
    assert printed.startswith(shown)


def test_the_decisions_of_the_snippets(started: Shell) -> None:
    python = [block.text for block in blocks(README.read_text(encoding="utf-8")) if block.language == "python"]
    python = [text for text in python if "openai" not in text]  # tests/integrations runs what asks a provider
    checks, lines = 0, []
    for line in "\n".join(python).splitlines():
        lines.append(line)
        if told := re.fullmatch(r"((?:decision|best)\.[\w.]+)  # ('.*'|True|\(.*\)|\{.*\}|Decimal\(.*\))", line):
            lines.append(f"assert {told[1]} == {told[2]}, {told[1]}")
            checks += 1
    assert checks >= 8
    (started.folder / "snippet.py").write_text("from decimal import Decimal\n" + "\n".join(lines))
    assert started.run("python snippet.py") == ""
    (started.folder / "snippet.py").unlink()


def test_the_policy_at_the_top_is_valid(started: Shell, tmp_path: Path) -> None:
    policy = next(block.text for block in blocks(README.read_text(encoding="utf-8")) if block.language == "yaml")
    head = 'apiVersion: costlens-policy/v1\nkind: {}\nmetadata: {{name: readme, version: "1"}}\n'
    (tmp_path / "policy.yaml").write_text(head.format("Policy") + policy)
    shutil.copy(ROOT / "policies" / "catalogue.yaml", tmp_path)
    (tmp_path / "policy-set.yaml").write_text(
        head.format("PolicySet") + "policies: [policy.yaml]\ncatalogues: [catalogue.yaml]\n"
        "attributes: {task: {type: string, default: other}, team: {type: string, trusted: true}}\n"
        "defaults: {access: allow, route: {model: gpt-5-mini}, max_output_tokens: 100}\n"
    )
    assert replace(started, folder=tmp_path).run("costlens-policy check --strict .; echo $?").startswith("0\n")
