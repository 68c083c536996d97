"""``make bench``: us and every installed peer in one run, with the ratios.

``python -m benchmarks.run [--quick] [--json] [NAME …]``: names pick sections, ``--quick`` takes fewer rounds and leaves
the slowest out, ``--json`` prints one JSON object for each section instead of tables.
"""

from __future__ import annotations

import importlib
import json
import sys
from typing import Final

from rich.console import Console

from benchmarks.section import Section, table_of

SECTIONS: Final = ("decisions", "pipeline", "start", "guard", "ledger")
"""Each is a module of this package whose ``section(quick)`` measures it."""


def main(arguments: list[str]) -> int:
    names = [item for item in arguments if not item.startswith("-")]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not set(arguments) - set(names) <= {"--quick", "--json"}:
        print(f"usage: python -m benchmarks.run [--quick] [--json] [{' | '.join(SECTIONS)} …]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    console = Console(width=None if Console().is_terminal else 120)
    for name in names or SECTIONS:
        section = importlib.import_module(f"benchmarks.{name}").section(quick="--quick" in arguments)
        if "--json" in arguments:
            print(json.dumps(section.to_dict()), flush=True)  # noqa: T201 (a command)
        else:
            _show(console, section)
    return 0


def _show(console: Console, section: Section) -> None:
    console.print(table_of(section))
    for note in section.notes:
        console.print(note)
    console.print()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
