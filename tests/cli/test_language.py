"""The pages about the language say what the schemas and the records say."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from costlens_policy.checker.attributes import ROOT_TYPES, STANDARD_ATTRIBUTES, model_record
from costlens_policy.cli.reference import example_of, language_pages
from costlens_policy.documents import KINDS
from costlens_policy.schema import json_schema
from costlens_policy.source.compose import compose
from costlens_policy.source.read import source_of

DOCS = Path(__file__).resolve().parents[2] / "docs"
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
