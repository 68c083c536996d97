"""Run conformance cases of the CEL specification through parser, checker and compiler.

``python -m benchmarks.conformance FILE.jsonl`` prints passed and failed by file, and each case that fails with the
reason. A line of the file is one case: ``id``, ``file``, ``expr``, ``container``, ``type_env``, ``bindings``,
``disable_check``, ``check_only`` and ``expected``, whose ``kind`` is ``value``, ``error`` or ``typed``.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.conformance_values import differs, read_value
from costlens_policy.expressions import (
    DYN,
    Environment,
    ExpressionError,
    Function,
    Overload,
    Type,
    TypedExpr,
    analyze,
    parse,
    parse_type,
    unchecked,
)
from costlens_policy.expressions.compile import compile_expression
from costlens_policy.expressions.runtime import CelError

__all__ = ["Case", "failure", "main", "read_cases"]


@dataclass(frozen=True, slots=True)
class Case:
    """One case as its line has it."""

    id: str
    file: str
    line: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.line["expected"]["kind"])


def read_cases(path: Path) -> list[Case]:
    lines = path.read_text(encoding="utf-8").split("\n")  # other line ends may stand unescaped inside a JSON string
    return [Case(line["id"], line["file"], line) for line in map(json.loads, filter(None, lines))]


def failure(case: Case) -> str:
    """Return why a case fails, or an empty text when it passes."""
    try:
        typed = _typed(case, _environment(case.line))
        if isinstance(typed, str):
            return "" if case.kind == "error" else typed
        wanted = case.line["expected"].get("deduced_type")
        if wanted is not None and str(typed.type) != wanted:
            return f"deduced {typed.type} instead of {wanted}"
        return "" if case.line["check_only"] else _evaluated(case, typed)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _typed(case: Case, environment: Environment) -> TypedExpr | str:
    """Return the typed expression, or what the front end has against it."""
    text = case.line["expr"]
    if case.line["disable_check"]:
        try:
            return unchecked(text, parse(text), environment)
        except ExpressionError as error:
            return str(error)
    analyzed = analyze(text, environment)
    return analyzed.typed or "; ".join(problem.message for problem in analyzed.problems)


def _evaluated(case: Case, typed: TypedExpr) -> str:
    names = tuple(sorted(case.line["bindings"]))
    values = [read_value(case.line["bindings"][name]) for name in names]
    try:
        found = compile_expression(typed, names)(*values)
    except CelError as error:
        return "" if case.kind == "error" else f"fails: {error}"
    if case.kind == "error":
        return f"gives {found!r} instead of an error"
    return differs(case.line["expected"]["value"], found) if "value" in case.line["expected"] else ""


def _environment(line: dict[str, Any]) -> Environment:
    variables: dict[str, Type] = dict.fromkeys(line["bindings"], DYN)
    functions: dict[str, Function] = {}
    for declaration in line["type_env"]:
        name = declaration["name"]
        if "ident" in declaration:
            variables[name] = parse_type(declaration["ident"])
        else:
            functions[name] = Function(name, tuple(map(_overload, declaration["function"])))
    return Environment(variables, container=line["container"], functions=functions)


def _overload(declared: dict[str, Any]) -> Overload:
    parameters = tuple(map(parse_type, declared["params"]))
    return Overload(declared["id"], parameters, parse_type(declared["result"]), declared["member"])


def _report(cases: list[Case], reasons: dict[str, str]) -> Iterator[str]:
    failed = Counter(case.file for case in cases if reasons[case.id])
    total = Counter(case.file for case in cases)
    for file, count in total.items():
        yield f"{file:20} {count - failed[file]:5} passed {failed[file]:5} failed"
    yield f"{'all':20} {total.total() - failed.total():5} passed {failed.total():5} failed"
    for case in cases:
        if reasons[case.id]:
            yield f"FAILED {case.id}: {reasons[case.id]}"


def main(arguments: list[str]) -> int:
    """Run every case of a file; return 0 when all pass, 1 when some fail, 2 when there is no file."""
    if len(arguments) != 1 or not Path(arguments[0]).is_file():
        print("usage: python -m benchmarks.conformance FILE.jsonl", file=sys.stderr)  # noqa: T201  # a command
        return 2
    cases = read_cases(Path(arguments[0]))
    reasons = {case.id: failure(case) for case in cases}
    print("\n".join(_report(cases, reasons)))  # noqa: T201  # a command
    return 1 if any(reasons.values()) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
