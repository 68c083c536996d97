"""How long it takes until the first decision: compilation, and the command with and without the plan cache.

``python -m benchmarks.start [--quick] [--json]``. Each start is a process of its own; what counts is its CPU time, user
and system together, and of several the median. Ratios are within one run.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.imports import milliseconds
from benchmarks.policies import write_route_rules
from benchmarks.rules import cel_condition, make_rules, requests_for
from benchmarks.section import Section, run_section
from benchmarks.timing import cpu_seconds
from costlens_policy import Engine, load
from costlens_policy.checker import check
from costlens_policy.compiler import compile_plan
from costlens_policy.compiler.formula import ROOTS
from costlens_policy.expressions import BOOL, TypedExpr, analyze, parse
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.saving.files import SETTING, content_of
from costlens_policy.saving.files import parse as parse_file

__all__ = ["section"]

_RULES: Final = 1_000
_MANY_RULES: Final = 10_000
_EXPRESSIONS: Final = 200
_REFERENCE: Final = Path(__file__).resolve().parent.parent / "policies"
_REQUEST: Final = {"task": "summarization", "prompt": "A few words."}

Row = tuple[str, float, str, str]


def section(*, quick: bool) -> Section:
    """Measure everything. ``quick`` takes fewer processes, and a tenth of the rules for the memory of a plan."""
    runs = 3 if quick else 9
    with TemporaryDirectory() as name:
        folder = Path(name)
        rows = (*_commands(folder, runs), *_compiling(folder, 1 if quick else 3))
        rows += tuple(_memory(folder, _RULES if quick else _MANY_RULES))
    return Section("start", "Start (CPU time, medians)", ("what", "result", "unit", "beside"), rows)


def _commands(folder: Path, runs: int) -> Iterator[Row]:
    """Yield the start of ``costlens-policy eval`` on the reference policies and on many route rules."""
    many = _policies(folder / "many", _RULES)
    request = requests_for(make_rules(_RULES), "last")[0] | {"prompt": "A few words."}
    for what, policies, content in (
        ("the reference policies", _REFERENCE, _REQUEST),
        (f"{_RULES:,} rules", many, request),
    ):
        asked = folder / "request.json"
        asked.write_text(json.dumps(content), encoding="utf-8")
        command = ["-m", "costlens_policy", "eval", str(policies), "--request", str(asked)]
        fresh = _process(command, runs, cache="off")
        _process(command, 1, cache=str(folder / "cache"))
        kept = _process(command, runs, cache=str(folder / "cache"))
        yield f"eval, {what}, without the cache", fresh, "ms", ""
        yield f"eval, {what}, with the cache", kept, "ms", f"{fresh / kept:.1f} times quicker"


def _compiling(folder: Path, rounds: int) -> Iterator[Row]:
    yield from _expressions(rounds)
    policies = _policies(folder / "set", _RULES)
    request = requests_for(make_rules(_RULES), "last")[0]
    load(policies, cache=False)  # imports, which are measured above
    whole = 1000 * cpu_seconds(lambda: compile_plan(check((policies,))), rounds)
    plan = load(policies, cache=False).plan
    content = content_of(plan, {})
    saved = 1000 * cpu_seconds(lambda: content_of(plan, {}), rounds)
    loaded = 1000 * cpu_seconds(lambda: parse_file(content).plan(), rounds)
    first = 1000 * cpu_seconds(lambda: Engine(parse_file(content).plan()).decide(request), rounds) - loaded
    yield f"read, check and compile {_RULES:,} rules", whole, "ms", f"{whole / _RULES:.2f} ms a rule"
    yield f"save the plan of {_RULES:,} rules", saved, "ms", f"{len(content) / 1000:,.0f} kB"
    yield f"load the plan of {_RULES:,} rules", loaded, "ms", f"{whole / loaded:.0f} times quicker than compiling"
    yield f"first decision of a plan of {_RULES:,} rules", first, "ms", "indexes the rules"


def _expressions(rounds: int) -> Iterator[Row]:
    """Yield what one condition of four comparisons takes, step by step."""
    texts = [cel_condition(rule, of="request.") for rule in make_rules(_EXPRESSIONS)]
    environment = _typed(texts[0]).environment
    each = 1e6 / len(texts)

    def analyzed() -> list[TypedExpr]:
        return [typed for text in texts if (typed := analyze(text, environment, BOOL).typed) is not None]

    typed = analyzed()
    if len(typed) != len(texts):
        raise RuntimeError("a condition of the workload has the wrong type")
    parsing = cpu_seconds(lambda: list(map(parse, texts)), rounds) * each
    whole = cpu_seconds(analyzed, rounds) * each
    compiling = cpu_seconds(lambda: [compile_expression(item, ROOTS) for item in typed], rounds) * each
    yield "parse an expression", parsing, "µs", ""
    yield "parse, type and bound an expression", whole, "µs", ""
    yield "compile a typed expression", compiling, "µs", "when it is first evaluated"


def _typed(text: str) -> TypedExpr:
    """Return a condition as the checker types it in the policies of this workload."""
    with TemporaryDirectory() as name:
        plan = load(_policies(Path(name) / "one", 1), cache=False).plan
        when = plan.layers[0].routes[0].when
        if when is None or when.source != text:
            raise RuntimeError("the workload has changed its first rule")
        return when.typed


_RESIDENT: Final = """
import gc, os, sys, tracemalloc
from costlens_policy import load_plan
import costlens_policy.compiler.plan
from pathlib import Path
def resident():
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
load_plan(sys.argv[2])
if sys.argv[3] == "traced":
    tracemalloc.start()
    engine = load_plan(sys.argv[1])
    gc.collect()
    print(tracemalloc.get_traced_memory()[0] / 1e6)
else:
    before = resident()
    engine = load_plan(sys.argv[1])
    print(resident() - before)
"""


def _memory(folder: Path, rules: int) -> Iterator[Row]:
    """Yield what a loaded plan takes, as Python counts it and as the system does."""
    large, small = folder / "large.plan", folder / "small.plan"
    for path, number in ((large, rules), (small, 1)):
        load(_policies(folder / path.stem, number), cache=False).save(path)
    for how, what in (("traced", "objects"), ("resident", "resident set")):
        ran = subprocess.run(
            [sys.executable, "-c", _RESIDENT, str(large), str(small), how], capture_output=True, text=True, check=True
        )
        size = float(ran.stdout)
        yield f"memory of a plan of {rules:,} rules ({what})", size, "MB", f"{1000 * size / rules:.1f} kB a rule"


def _policies(folder: Path, rules: int) -> Path:
    folder.mkdir()
    write_route_rules(folder, make_rules(rules))
    return folder


def _process(arguments: Sequence[str], runs: int, *, cache: str = "off") -> float:
    """Return the median CPU time in milliseconds of a Python process."""
    return statistics.median(milliseconds(arguments, {SETTING: cache}) for _ in range(runs))


if __name__ == "__main__":
    sys.exit(run_section("start", section, sys.argv[1:]))
