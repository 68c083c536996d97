"""The tables of output formats: what each row names is there."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import pytest

from costlens_policy.cli import commands
from costlens_policy.cli.formats import SUMMARY_FORMATS, Formats


def _tables() -> dict[str, Formats]:
    modules = (import_module(f"{commands.__name__}.{item.name}") for item in iter_modules(commands.__path__))
    found = {f"{module.__name__}:{name}": value for module in modules for name, value in vars(module).items()}
    return {name: value for name, value in found.items() if isinstance(value, Formats)}


def test_commands_have_tables() -> None:
    tables = _tables()
    assert SUMMARY_FORMATS in tables.values()
    assert len(set(tables.values())) == 5, "of replay and both diffs, of report, of advise, of fit, of reconcile"


@pytest.mark.parametrize(("table", "format"), [(table, format) for table in _tables().values() for format in table])
def test_every_renderer_is_there(table: Formats, format: str) -> None:
    assert callable(table.renderer(format))


def test_the_first_format_is_the_default(run) -> None:
    assert "[default: text]" in run("replay", "--help").stdout
