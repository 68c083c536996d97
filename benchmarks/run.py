"""``make bench``: us and every installed peer in one run, with the ratios.

``python -m benchmarks.run [--quick] [--json] [NAME …]``: names pick sections, ``--quick`` takes fewer rounds and leaves
the slowest out, ``--json`` prints one JSON object for each section instead of tables.
"""

from __future__ import annotations

import importlib
import sys
from typing import Final

from benchmarks.section import show

SECTIONS: Final = (
    "decisions", "pipeline", "imports", "start", "guard", "clients", "litellm", "service", "ledger", "replay",
    "assurance", "mutation",
)  # fmt: skip
"""Each is a module of this package whose ``section(quick)`` measures it."""


def main(arguments: list[str]) -> int:
    names = [item for item in arguments if not item.startswith("-")]
    unknown = [name for name in names if name not in SECTIONS]
    if unknown or not set(arguments) - set(names) <= {"--quick", "--json"}:
        print(f"usage: python -m benchmarks.run [--quick] [--json] [{' | '.join(SECTIONS)} …]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    for name in names or SECTIONS:
        section = importlib.import_module(f"benchmarks.{name}").section(quick="--quick" in arguments)
        show(section, as_json="--json" in arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
