"""Coverage as an LCOV tracefile (geninfo(1)): rules are functions; outcomes, operands and targets are branches."""

from __future__ import annotations

from collections.abc import Iterator

from costlens_policy.testing.coverage import Item
from costlens_policy.testing.formats.lines import CoveredBranch, CoveredFile, files_of
from costlens_policy.testing.results import Run

__all__ = ["render"]


def render(run: Run, *, color: bool = False) -> str:
    """Return the records of all files."""
    return "".join(f"{line}\n" for file in files_of(run) for line in _file(file))


def _file(file: CoveredFile) -> Iterator[str]:
    yield "TN:policies"
    yield f"SF:{_text(file.name)}"
    rules = [(item.span.start.line, item) for item in file.rules if item.span is not None]
    yield from (f"FN:{line},{_name(item)}" for line, item in rules)
    yield from (f"FNDA:{item.count},{_name(item)}" for _, item in rules)
    yield f"FNF:{len(rules)}"
    yield f"FNH:{sum(item.count > 0 for _, item in rules)}"
    for line in file.lines:
        for block, branches in enumerate(line.blocks):
            for index, branch in enumerate(branches):
                yield f"BRDA:{line.number},{block},{index},{_taken(branch)}"
    yield f"BRF:{len(file.branches)}"
    yield f"BRH:{sum(bool(branch.taken) for branch in file.branches)}"
    yield from (f"DA:{line.number},{line.hits}" for line in file.lines)
    yield f"LF:{len(file.lines)}"
    yield f"LH:{sum(line.hits > 0 for line in file.lines)}"
    yield "end_of_record"


def _taken(branch: CoveredBranch) -> str:
    return "-" if branch.taken is None else str(branch.taken)


def _name(item: Item) -> str:
    return _text(item.name)


def _text(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())
