"""What docs/report.md shows is what is printed, and its Python runs."""

from __future__ import annotations

from tests.conftest import ROOT
from tests.docs.walkthrough import blocks, run_command, walk

PAGE = ROOT / "docs" / "report.md"


def test_the_commands_print_what_is_shown(request):
    update = request.config.getoption("--update-golden")
    document = PAGE.read_text(encoding="utf-8")
    shown = walk(document, ROOT, update=update, only_commands=True)
    if update:
        PAGE.write_text(shown, encoding="utf-8")
    else:
        assert shown == document


def test_the_python_runs():
    (shown,) = (block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "python")
    assert run_command(f'python - <<"END"\n{shown}\nprint(page[:15], report.totals.requests)\nEND', ROOT) == (
        "<!DOCTYPE html> 115\n"
    )
