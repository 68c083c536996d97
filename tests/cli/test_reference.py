"""docs/cli.md and docs/exit-codes.md say what the program says."""

from __future__ import annotations

from pathlib import Path

from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.reference import command_reference, commands, exit_code_reference

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_command_reference(golden):
    golden(DOCS / "cli.md", command_reference())


def test_exit_codes(golden):
    golden(DOCS / "exit-codes.md", exit_code_reference())


def test_every_exit_code_is_given_by_some_command():
    given = {code for _, command in commands() for code in command.exits}
    assert given == set(ExitCode)


def test_options_are_in_the_reference():
    text = command_reference()
    for name, command in commands():
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.opts != ["--debug"]:
                assert parameter.opts[0] in section
