"""Links lead somewhere, and everything there is has its place in the documentation."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from costlens_policy.cli.reference import commands
from costlens_policy.schema import schema_texts
from tests.conftest import ROOT

_HIDDEN: Final = (".", "build", "dist", "node_modules")
PAGES: Final = sorted(
    page for page in ROOT.rglob("*.md") if not any(part.startswith(_HIDDEN) for part in page.relative_to(ROOT).parts)
)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_FENCED: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCED.sub("", page.read_text(encoding="utf-8"))


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in _HEADING.findall(_prose(page)))
    return {heading.strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_prose(page)):
        if "://" in link:
            continue
        target, _, anchor = link.partition("#")
        leads_to = (page.parent / target).resolve() if target else page
        assert leads_to.exists(), f"{page.name} links to {link}"
        assert leads_to.is_relative_to(ROOT), f"{page.name} links out of the repository to {link}"
        if anchor and leads_to.suffix == ".md":
            assert anchor in _anchors(leads_to), f"{page.name} links to {link}"


def test_the_architecture_names_every_folder() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    for folder in (ROOT / "costlens_policy").iterdir():
        if folder.is_dir() and (folder / "__init__.py").exists():
            assert f"`{folder.name}`" in text, f"ARCHITECTURE.md does not name {folder.name}"


def test_the_architecture_has_the_layers_that_hold() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").partition("\n## Layers\n")[2]
    rows = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in text.splitlines() if row.startswith("| `")]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (layers,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    assert rows == [set(layer.split(" | ")) for layer in layers]


_NAMED_PATH: Final = re.compile(r"`([\w./…-]+(?:/|\.(?:py|md|yaml|toml|txt)))`")
_PLACEHOLDER: Final = re.compile(r"(?:NAME|FAMILY|KIND|xxx|…)+")


@pytest.mark.parametrize("guide", ["ARCHITECTURE.md", "CONTRIBUTING.md"])
def test_the_guides_name_what_exists(guide: str) -> None:
    """Paths begin at the root, the package, or a folder that their section names; ``NAME`` or ``…`` is anything."""
    for section in _prose(ROOT / guide).split("\n## "):
        for name in _missing(section):
            pytest.fail(f"{guide} names {name} under: {section.splitlines()[0]}")


def _missing(section: str) -> Iterator[str]:
    named = [_PLACEHOLDER.sub("*", name) for name in _NAMED_PATH.findall(section)]
    roots = [ROOT, ROOT / "costlens_policy"]
    roots += [root / name for root in roots for name in named if name.endswith("/")]
    for name in named:
        if not any(any(root.glob(name.rstrip("/"))) for root in roots):
            yield name


def test_the_reference_has_every_command() -> None:
    text = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in commands():
        assert f"\n## {name}\n" in text, name
        for parameter in command.params:
            if parameter.param_type_name == "option" and parameter.opts != ["--debug"]:
                assert f"`{parameter.opts[0]}" in text, f"{name} {parameter.opts[0]}"


def test_every_page_of_the_documentation_is_linked() -> None:
    linked = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in _LINK.findall(_prose(page))
    }
    for page in (ROOT / "docs").glob("*.md"):
        assert page in linked, f"nothing links to docs/{page.name}"


def test_every_schema_is_checked_in() -> None:
    assert {path.name for path in (ROOT / "schemas").glob("*.json")} == set(schema_texts())
