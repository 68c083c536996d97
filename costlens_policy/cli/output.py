"""Results that go to standard output, or into a file."""

from __future__ import annotations

from pathlib import Path

from costlens_policy.cli.console import note, write_out
from costlens_policy.cli.files import write_file

__all__ = ["print_or_write"]


def print_or_write(text: str, target: Path | None) -> None:
    """Write a result into a file and say so, or print it where there is no file."""
    if target is None:
        write_out(text)
        return
    write_file(target, text.encode())
    note(f"wrote `{target}`")
