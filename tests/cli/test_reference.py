"""The pages that are made from the program and from the types of documents are what these say now."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from costlens_policy.checker.attributes import ROOT_TYPES, STANDARD_ATTRIBUTES, model_record
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.reference import command_reference, commands, example_of, exit_code_reference, language_pages
from costlens_policy.documents import KINDS
from costlens_policy.schema import json_schema
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

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


PAGES = language_pages()


@pytest.mark.parametrize("name", PAGES)
def test_pages(golden, name):
    golden(DOCS / name, PAGES[name])


def keys():
    for kind in KINDS:
        schema = json_schema(kind)
        definitions = schema.get("$defs", {})
        for section in (schema, *definitions.values()):
            for key, value in section.get("properties", {}).items():
                yield pytest.param(kind, key, value, definitions, id=f"{kind}-{section.get('title')}-{key}")


@pytest.mark.parametrize(("kind", "key", "schema", "definitions"), list(keys()))
def test_every_key_has_a_row_whose_example_fits(kind, key, schema, definitions):
    page = next(text for text in PAGES.values() if text.startswith(f"# Reference: `kind: {kind}`\n"))
    rows = [line for line in page.splitlines() if line.startswith(f"| `{key}` | ")]
    assert rows
    example = example_of(schema, definitions)
    assert list(Draft202012Validator({**schema, "$defs": definitions}).iter_errors(example)) == []
    written = [row.rsplit("| `", 1)[1].removesuffix("` |").replace("\\|", "|") for row in rows]
    for text in written:
        composed = compose(source_of(text))
        assert not composed.diagnostics, text
        assert set(composed.documents[0].root.to_plain()) == {key}


def test_every_attribute_is_listed():
    page = PAGES["attributes.md"]
    for name in STANDARD_ATTRIBUTES:
        assert f"| `request.{name}` | " in page
    for name in model_record().fields:
        assert f"| `model.{name}` | " in page
    for name in ROOT_TYPES:
        assert f"| `{name}` | " in page


@pytest.mark.parametrize("record", ["request", "model", "estimate", "budgets", 'budgets["any"]'])
def test_types_of_records_list_their_attributes(run, record):
    """As ``cel --type`` shows them, with a policy set and without."""
    result = run("cel", "--type", record)
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.stdout.splitlines()[1:]]
    assert len(rows) > 4
    assert all(len(row) > 1 for row in rows)


def test_a_policy_set_adds_its_own(run, starter):
    assert "  tier " in run("cel", "--type", "request", "--policy-set", starter).stdout
    assert "one of free, pro" in run("cel", "--type", "request", "--policy-set", starter).stdout
    listed = run("cel", "--type", "request", "--policy-set", starter, "--format", "json").stdout
    assert '"tier"' in listed
