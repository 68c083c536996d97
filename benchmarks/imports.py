"""What importing the public names costs, and the first decision and the first guarded call by a plan that was kept.

``python -m benchmarks.imports [--quick] [--json]``. Each start is a process of its own, with its bytecode compiled
before; what counts is its CPU time, user and system together, beyond that of an interpreter that imports nothing, and
of several the smallest. ``python -X importtime`` shows what it is made of.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.section import Section, run_section
from costlens_policy.saving.files import SETTING

__all__ = ["milliseconds", "section"]

_REFERENCE: Final = Path(__file__).resolve().parent.parent / "policies"
_REQUEST: Final = '{"task": "summarization", "prompt": "A few words."}'
_STARTS: Final = {
    "import costlens_policy": "import costlens_policy",
    "import costlens_policy.ledger": "import costlens_policy.ledger",
    "from costlens_policy import load": "from costlens_policy import load",
    "from costlens_policy import Guard": "from costlens_policy import Guard",
    "load the reference policies from the cache": f"from costlens_policy import load\nload({str(_REFERENCE)!r})",
    "and decide": f"from costlens_policy import load\nload({str(_REFERENCE)!r}).decide({_REQUEST})",
    "and guard a call": (
        f"from costlens_policy import Guard, load\nwith Guard(load({str(_REFERENCE)!r})).call({_REQUEST}) as call:\n"
        "    call.settle(output_text='Yes.')"
    ),
}


def section(*, quick: bool) -> Section:
    """Measure every start, in turns."""
    best: dict[str, float] = {}
    with TemporaryDirectory() as folder:
        environment = {SETTING: f"{folder}/cache", "PYTHONPYCACHEPREFIX": f"{folder}/bytecode"}
        starts = {"": "pass", **_STARTS}
        for _ in range(4 if quick else 11):
            for what, code in starts.items():
                taken = milliseconds(["-c", code], environment)
                best[what] = min(best.get(what, taken), taken)
    rows = tuple((what, best[what] - best[""]) for what in _STARTS)
    return Section("imports", "Imports (CPU time beyond a bare interpreter)", ("start", "ms"), rows)


def milliseconds(arguments: Sequence[str], environment: dict[str, str]) -> float:
    """Return the CPU time of a Python process, in an environment with these changes, in which it may keep bytecode."""
    given = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | environment
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=given, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


if __name__ == "__main__":
    sys.exit(run_section("imports", section, sys.argv[1:]))
