"""Documents as walk-throughs: files are written, commands are run, and what they print is compared.

A ``yaml`` block with ``file=PATH`` writes a file. In a ``console`` block each line after ``$`` is run by a shell, and
the lines below it are what it must print, standard output first. A ``python`` block is run. Others are for reading.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

__all__ = ["Block", "blocks", "even", "run_command", "walk"]

_FENCE = re.compile(r"^```(?P<language>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_DIGEST = re.compile(r"\b[0-9a-f]{12}\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. ``offset`` is where its text starts in the document."""

    language: str
    file: str | None
    text: str
    offset: int


def blocks(document: str) -> Iterator[Block]:
    """Yield the fenced blocks of a Markdown document."""
    for match in _FENCE.finditer(document):
        yield Block(match["language"], match["file"], match["text"], match.start("text"))


def walk(document: str, folder: Path, *, update: bool = False, only_commands: bool = False) -> str:
    """Follow a document in a folder. Return it with the outputs as they are; fail where they differ."""
    renewed = document
    for block in blocks(document):
        if only_commands and block.language != "console":
            continue
        if block.file is not None:
            path = folder / block.file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        elif block.language == "console":
            shown = _console(block.text, folder)
            if not update:
                assert even(shown) == even(block.text)
            renewed = renewed.replace(block.text, shown, 1)
        elif block.language == "python":
            subprocess.run([sys.executable, "-c", block.text], cwd=folder, check=True, timeout=60)
    return renewed


def _console(text: str, folder: Path) -> str:
    commands = [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    return "".join(f"$ {command}\n{run_command(command, folder)}" for command in commands)


def run_command(command: str, folder: Path) -> str:
    """Return what a shell command prints, standard output first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "120"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout + done.stderr


def even(text: str) -> str:
    """Return a text without digests, unless the price list is the one that the documents were written with."""
    pinned = re.search(r"^genai-prices==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    installed = importlib.metadata.version("genai-prices")
    return (text if pinned is not None and pinned[1] == installed else _DIGEST.sub("…", text)).strip()
