"""The structure of the package: sizes of files, siblings with one importer, circles of imports, and ways through it.

``python -m benchmarks.structure [--names] [--json] [REV …]`` measures ``costlens_policy/`` as it is in git revisions,
``.`` being the working tree, which is the default. ``--names`` also lists the siblings and the circles.

What is counted:

- The **header** of a file ends where its first statement begins that is neither docstring, import nor ``__all__``.
- A **single-importer sibling** is a module that a single other one imports, which stands in the same folder. Imports
  inside functions and for type checkers count. What only the folder's ``__init__.py`` imports is what the folder
  offers, and the files of :data:`CATALOGUES` are entries of a list: neither is counted.
- A **circle** is a set of modules that reach one another by imports. To import a module is not to import the packages
  above it, and a name that a package only passes on is imported from the package.
- A **move** is a call, or the resumption of a generator, out of one file of the package into another one; what runs in
  between elsewhere, such as ``sorted`` or the ``__init__`` of a dataclass, is passed over. One decision and one guarded
  call with its settlement are followed, each for the second time, so that nothing is imported or compiled on the way.
"""

from __future__ import annotations

import ast
import json
import os
import statistics
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any, Final

from benchmarks.section import Cell, Section, show

__all__ = ["CATALOGUES", "Tree", "folder_of", "measure", "moves_of", "read_tree"]

_ROOT: Final = Path(__file__).resolve().parent.parent
_PACKAGE: Final = "costlens_policy"

CATALOGUES: Final = frozenset(
    {
        "assurance.findings",
        "checker.checks",
        "cli.commands",
        "expressions.functions",
        "expressions.runtime",
        "fit.outcomes.formats",
        "rewrites.personal_data",
        "testing.formats",
    }
)
"""Folders of like things, one file for each, which one table lists."""


@dataclass(frozen=True, slots=True)
class Module:
    """One file. ``imports`` are modules of the package, ``header`` and ``lines`` are numbers of lines."""

    lines: int
    header: int
    imports: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tree:
    """The modules of a package by dotted name; ``packages`` names those that are an ``__init__.py``."""

    modules: Mapping[str, Module]
    packages: frozenset[str]

    def siblings(self) -> list[tuple[str, str]]:
        """Return each module with a single importer beside it, and that importer."""
        importers: dict[str, set[str]] = defaultdict(set)
        for name, module in self.modules.items():
            for imported in module.imports:
                importers[imported].add(name)
        single = [(name, *users) for name, users in sorted(importers.items()) if len(users) == 1]
        return [(name, user) for name, user in single if not self.packages & {name, user} and _beside(name, user)]

    def circles(self) -> list[list[str]]:
        """Return the sets of modules that reach one another, the largest first."""
        reached = {name: self._reached(name) for name in self.modules}
        found = {frozenset(other for other in reached[name] if name in reached[other]) for name in self.modules}
        return sorted((sorted(circle) for circle in found if circle), key=lambda circle: (-len(circle), circle))

    def _reached(self, name: str) -> set[str]:
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            for imported in self.modules[waiting.pop()].imports - seen:
                seen.add(imported)
                waiting.append(imported)
        return seen


def _beside(name: str, user: str) -> bool:
    folder = name.rpartition(".")[0]
    return folder == user.rpartition(".")[0] and folder.partition(".")[2] not in CATALOGUES


def read_tree(folder: Path) -> Tree:
    """Return the modules below the folder of a package."""
    paths = {_name(folder, path): path for path in sorted(folder.rglob("*.py"))}
    packages = frozenset(name for name, path in paths.items() if path.name == "__init__.py")
    return Tree({name: _module(name, path.read_text("utf-8"), paths) for name, path in paths.items()}, packages)


def _name(folder: Path, path: Path) -> str:
    return ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__")


def _module(name: str, text: str, known: Mapping[str, Path]) -> Module:
    tree = ast.parse(text)
    imports = {imported for node in ast.walk(tree) for imported in _imported(node, known)}
    lines = text.count("\n")
    return Module(lines, _header(tree, lines), frozenset(imports - {name}))


def _imported(node: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name in known)
    elif isinstance(node, ast.ImportFrom) and node.module in known:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            yield inner if inner in known else node.module


def _header(tree: ast.Module, lines: int) -> int:
    """Return how many lines stand before the first definition."""
    for number, statement in enumerate(tree.body):
        if not (_belongs_to_header(statement) or (number == 0 and isinstance(statement, ast.Expr))):
            decorators = getattr(statement, "decorator_list", [])
            return min([statement.lineno, *(item.lineno for item in decorators)]) - 1
    return lines


def _belongs_to_header(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        return ast.unparse(statement.test) == "TYPE_CHECKING"
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement.targets[0]) == "__all__"
    return isinstance(statement, ast.Import | ast.ImportFrom)


def moves_of(run: Callable[[], object], folder: Path) -> tuple[int, int]:
    """Return in how many files below the folder ``run`` calls something, and how many calls go from one to another."""
    prefix = f"{folder.resolve()}{os.sep}"
    files: set[str] = set()
    moves = 0

    def look(frame: FrameType, event: str, _: Any) -> None:
        nonlocal moves
        here = frame.f_code.co_filename
        if event == "call" and here.startswith(prefix):
            files.add(here)
            moves += _caller(frame.f_back, prefix) not in {here, None}

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        run()
    finally:
        sys.setprofile(before)
    return len(files), moves


def _caller(frame: FrameType | None, prefix: str) -> str | None:
    """Return the file below the folder that the nearest frame belongs to."""
    while frame is not None and not frame.f_code.co_filename.startswith(prefix):
        frame = frame.f_back
    return None if frame is None else frame.f_code.co_filename


_HEAD: Final = 'apiVersion: costlens-policy/v1\nmetadata: {name: structure, version: "1"}\n'
_DOCUMENTS: Final = {
    "policy-set": """kind: PolicySet
policies: [policy.yaml]
catalogues: [catalogue.yaml]
defaults: {access: allow, route: {models: [small, large]}, max_output_tokens: 200}
""",
    "catalogue": """kind: Catalogue
models:
  small: {provider: acme, prices: [{usd_per_million_tokens: {input: 0.25, output: 2}}]}
  large: {provider: acme, prices: [{usd_per_million_tokens: {input: 1.25, output: 10}}]}
""",
    "policy": """kind: Policy
routes: [{id: chat, when: request.task == "chat", model: small, fallbacks: [large]}]
rewrites: [{id: concise, when: model.name == "small", apply: [{prefix: {text: "Be concise. "}}]}]
budgets: [{id: team, scope: request.team, hard_limit_usd: 1000, window: {calendar: day, zone: UTC}}]
""",
}
_REQUEST: Final = {"task": "chat", "team": "support", "prompt": "Where is my parcel?"}
_USAGE: Final = {"prompt_tokens": 10, "completion_tokens": 8}


def _walk() -> dict[str, tuple[int, int]]:
    """Follow a decision and a guarded call through the package in the current directory."""
    import costlens_policy

    package = Path(str(costlens_policy.__file__)).parent
    if package != Path.cwd() / _PACKAGE:
        raise RuntimeError(f"{package} was imported instead of the package in {Path.cwd()}")
    with TemporaryDirectory() as name:
        for document, text in _DOCUMENTS.items():
            Path(name, f"{document}.yaml").write_text(_HEAD + text, encoding="utf-8")
        engine = costlens_policy.load(name, cache=False)
    guard = costlens_policy.Guard(engine, alert_sinks=[])

    def guarded() -> None:
        with guard.call(_REQUEST) as call:
            call.settle(_USAGE)

    runs: dict[str, Callable[[], object]] = {"decision": lambda: engine.decide(_REQUEST), "guarded call": guarded}
    for run in runs.values():
        run()
    return {what: moves_of(run, package) for what, run in runs.items()}


@contextmanager
def folder_of(revision: str) -> Iterator[Path]:
    """Give the folder that has the package as it is in a revision, for as long as it is needed."""
    if revision == ".":
        yield _ROOT
        return
    archive = subprocess.run(["git", "archive", revision, _PACKAGE], cwd=_ROOT, capture_output=True, check=True).stdout
    with TemporaryDirectory() as name:
        with tarfile.open(fileobj=BytesIO(archive)) as files:
            files.extractall(name, filter="data")
        yield Path(name).resolve()


def measure(revision: str) -> dict[str, Any]:
    """Return the figures of a git revision, or of the working tree for ``.``; also names of siblings and circles.

    Raises ``subprocess.CalledProcessError`` where git does not know the revision, or its package does not run.
    """
    with folder_of(revision) as folder:
        tree, walked = read_tree(folder / _PACKAGE), _walked(folder)
    lines = [module.lines for module in tree.modules.values()]
    siblings, circles = tree.siblings(), tree.circles()
    figures: dict[str, Any] = {
        "files": len(lines),
        "lines": sum(lines),
        "median lines of a file": int(statistics.median(lines)),
        "largest file": max(lines),
        "header share, %": round(100 * sum(module.header for module in tree.modules.values()) / sum(lines), 1),
        "single-importer siblings": len(siblings),
        "circles of imports": len(circles),
    }
    for what, (files, moves) in walked.items():
        figures |= {f"files of a {what}": files, f"moves of a {what}": moves}
    return {"figures": figures, "siblings": siblings, "circles": circles}


def _walked(folder: Path) -> dict[str, tuple[int, int]]:
    """Follow the ways in a process that imports the package from this folder."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.structure", "--walk"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(_ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    walked: dict[str, tuple[int, int]] = json.loads(ran.stdout)
    return walked


def section(revisions: list[str], *, names: bool) -> Section:
    """Measure each revision; a row is a figure, a column a revision."""
    measured = {revision: measure(revision) for revision in revisions}
    figures = [result["figures"] for result in measured.values()]
    rows: list[tuple[Cell, ...]] = [(what, *(figure[what] for figure in figures)) for what in figures[0]]
    columns = ("what", *("working tree" if revision == "." else revision for revision in revisions))
    notes = tuple(note for result in measured.values() for note in _notes(result)) if names else ()
    return Section("structure", f"The structure of {_PACKAGE}/", columns, tuple(rows), notes)


def _notes(result: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"{name} is imported by {user} alone" for name, user in result["siblings"])
    yield from (f"a circle: {', '.join(circle)}" for circle in result["circles"])


def main(arguments: list[str]) -> int:
    if arguments == ["--walk"]:
        print(json.dumps(_walk()))  # noqa: T201 (a command)
        return 0
    options = {item for item in arguments if item.startswith("-")}
    revisions = list(dict.fromkeys(item for item in arguments if item not in options)) or ["."]
    if not options <= {"--json", "--names"}:
        print("usage: python -m benchmarks.structure [--names] [--json] [REV …]", file=sys.stderr)  # noqa: T201 (a command)
        return 2
    try:
        show(section(revisions, names="--names" in options), as_json="--json" in options)
    except subprocess.CalledProcessError as error:
        print((error.stderr or b"").decode() or f"error: {error}", file=sys.stderr)  # noqa: T201 (a command)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
