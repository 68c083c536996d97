"""Coverage as Cobertura XML (coverage-04.dtd): each file is a class, each rule a method, what it does are branches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from costlens_policy.testing.coverage import Item
from costlens_policy.testing.formats.junit import clean
from costlens_policy.testing.formats.lines import CoveredFile, CoveredLine, files_of
from costlens_policy.testing.results import Run
from costlens_policy.version import __version__

__all__ = ["render"]

_DOCTYPE = '<!DOCTYPE coverage SYSTEM "http://cobertura.sourceforge.net/xml/coverage-04.dtd">\n'


def render(run: Run, *, color: bool = False) -> str:
    """Return the document. The time of the run is not in it: equal runs give equal files."""
    files = files_of(run)
    lines = [line for file in files for line in file.lines]
    branches = sum(len(line.branches) for line in lines)
    root = Element("coverage")
    for name, value in {
        "line-rate": _line_rate(lines),
        "branch-rate": _branch_rate(lines),
        "lines-covered": str(sum(line.hits > 0 for line in lines)),
        "lines-valid": str(len(lines)),
        "branches-covered": str(sum(line.covered_branches for line in lines)),
        "branches-valid": str(branches),
        "complexity": "0",
        "version": f"costlens-policy {__version__}",
        "timestamp": "0",
    }.items():
        root.set(name, value)
    SubElement(SubElement(root, "sources"), "source").text = "."
    packages = SubElement(root, "packages")
    package = SubElement(packages, "package", {"name": "policies", **_rates(lines)})
    classes = SubElement(package, "classes")
    for file in files:
        _class(classes, file)
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _DOCTYPE + tostring(root, encoding="unicode") + "\n"


def _class(classes: Element, file: CoveredFile) -> None:
    name = file.name.replace("\\", "/")
    node = SubElement(classes, "class", {"name": clean(name), "filename": clean(name), **_rates(file.lines)})
    methods = SubElement(node, "methods")
    for line in file.lines:
        for item in line.items:
            if item in file.rules:
                _method(methods, item, line)
    _lines(node, file.lines)


def _method(methods: Element, item: Item, line: CoveredLine) -> None:
    rate = "1" if item.count else "0"
    node = SubElement(methods, "method", {
        "name": clean(item.name), "signature": clean(item.kind), "line-rate": rate, "branch-rate": rate,
    })  # fmt: skip
    SubElement(SubElement(node, "lines"), "line", number=str(line.number), hits=str(item.count))


def _lines(parent: Element, lines: Iterable[CoveredLine]) -> None:
    found = SubElement(parent, "lines")
    for line in lines:
        node = SubElement(found, "line", number=str(line.number), hits=str(line.hits))
        if line.branches:
            total, covered = len(line.branches), line.covered_branches
            share = f"{100 * covered // total}%"
            node.set("branch", "true")
            node.set("condition-coverage", f"{share} ({covered}/{total})")
            conditions = SubElement(node, "conditions")
            SubElement(conditions, "condition", number="0", type="jump", coverage=share)


def _rates(lines: Sequence[CoveredLine]) -> dict[str, str]:
    return {"line-rate": _line_rate(lines), "branch-rate": _branch_rate(lines), "complexity": "0"}


def _line_rate(lines: Sequence[CoveredLine]) -> str:
    return _rate(sum(line.hits > 0 for line in lines), len(lines))


def _branch_rate(lines: Sequence[CoveredLine]) -> str:
    return _rate(sum(line.covered_branches for line in lines), sum(len(line.branches) for line in lines))


def _rate(covered: int, total: int) -> str:
    """Return a share with four digits, rounded down; nothing to cover is covered."""
    return f"{10_000 * covered // total / 10_000:g}" if total else "1"
