"""`check` of a catalogue says everything that reading it as one says."""

from __future__ import annotations

from pathlib import Path

import pytest

from costlens_policy.catalogue.resolve import resolve
from costlens_policy.checker import check_all
from tests.catalogue.reading import HEAD, read
from tests.checker.repository import put, write

P = "prices: [{usd_per_million_tokens: {input: 1, output: 2}}]"
BODIES = {
    "unknown model": "models:\n  a: {price_as: nowhere}\n",
    "unknown import": "imports: [{source: genai-prices, models: [openai/gpt-nothing]}]\n",
    "a name twice": f"models:\n  a: {{aliases: [b], {P}}}\n  b: {{{P}}}\n",
    "a price per token": "models:\n  a: {prices: [{usd_per_million_tokens: {input: 0.000001, output: 0.000002}}]}\n",
    "far from the list": "models:\n  gpt-4o: {prices: [{usd_per_million_tokens: {input: 0.0025, output: 10}}]}\n",
    "no prices": "models:\n  a: {provider: x}\n",
    "tokens that do not fit": f"models:\n  a: {{context_window: 5, max_output_tokens: 6, {P}}}\n",
    "nothing wrong": f"models:\n  a: {{{P}}}\n",
}


def found(path: Path) -> list[str]:
    return [item.code for item in check_all(path).diagnostics if item.code.startswith("CL5")]


@pytest.mark.parametrize("name", BODIES)
def test_of_a_file_a_folder_and_a_set(tmp_path: Path, name: str) -> None:
    right = [item.code for item in resolve([read(HEAD + BODIES[name])]).diagnostics]
    file = put(tmp_path / "alone" / "catalogue.yaml", BODIES[name], "Catalogue", "test")
    assert found(file) == right
    assert found(file.parent) == right
    folder = write(tmp_path / "set")
    put(folder / "further.yaml", BODIES[name], "Catalogue", "further")
    text = (folder / "policy-set.yaml").read_text()
    (folder / "policy-set.yaml").write_text(text.replace("[catalogue.yaml]", "[catalogue.yaml, further.yaml]"))
    assert found(folder) == right
    assert found(folder / "further.yaml") == right


def test_catalogues_that_are_named_together_build_on_each_other(tmp_path: Path) -> None:
    first = put(tmp_path / "first.yaml", f"models:\n  a: {{{P}}}\n", "Catalogue", "first")
    second = put(tmp_path / "second.yaml", "models:\n  b: {price_as: a}\n", "Catalogue", "second")
    assert [item.code for item in check_all([first, second]).diagnostics if item.code.startswith("CL5")] == []
    assert found(second) == ["CL502"]
