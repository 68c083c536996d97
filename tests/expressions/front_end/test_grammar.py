"""The stored tables are those of the grammar that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from costlens_policy.expressions.syntax import grammar


def test_the_stored_tables_are_what_lark_makes_of_the_grammar() -> None:
    stored = json.loads(Path(grammar.__file__).with_name("tables.json").read_text(encoding="utf-8"))
    assert stored == grammar.analyze_grammar(grammar.grammar_text()), "run python -m costlens_policy.expressions.syntax"


def test_another_grammar_is_analysed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar.tables.cache_clear()
    ours = grammar.grammar_text()
    monkeypatch.setattr(grammar, "grammar_text", lambda: ours + "\n// changed\n")
    try:
        changed = grammar.tables()
    finally:
        grammar.tables.cache_clear()
    monkeypatch.undo()
    assert changed == grammar.tables()


def test_parsing_imports_neither_lark_nor_celpy() -> None:
    program = (
        "import sys; from costlens_policy.expressions import parse; parse('a == 1');"
        "sys.exit(any(name in sys.modules for name in ('lark', 'celpy', 're2')))"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
