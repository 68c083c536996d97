"""What is public: listed, held by a snapshot, complete, and all that docs and examples use."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import costlens_policy
from costlens_policy.cli.api_reference import PUBLIC_MODULES, api_page, public_signatures

ROOT = Path(__file__).resolve().parent.parent.parent
PROGRAM = "costlens_policy.cli"
"""What is run instead of imported."""
INSTALLED_BESIDE = (
    "costlens_policy.integrations.langchain",
    "costlens_policy.integrations.litellm.hooks",
    "costlens_policy.integrations.litellm.router",
)
"""What takes LangChain or LiteLLM to import it, and defines no error."""
PUBLIC_BESIDE = (
    ("costlens_policy.integrations.langchain", "GuardedChatModel"),
    ("costlens_policy.integrations.litellm", "guard_router"),
)
"""What is public in them; its page is run where LangChain is installed."""
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


def test_the_page_is_up_to_date(golden: Callable[[Path, str], None]) -> None:
    golden(ROOT / "docs" / "api.md", api_page())


def test_no_public_name_or_signature_changes_unseen(golden: Callable[[Path, str], None]) -> None:
    golden(Path(__file__).parent / "golden" / "public_api.txt", public_signatures())


@pytest.mark.parametrize("name", PUBLIC_MODULES)
def test_all_is_sorted_and_exists(name: str) -> None:
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(module.__all__, key=lambda item: (not item.isupper(), item))
    assert [item for item in module.__all__ if not hasattr(module, item)] == []


def test_the_page_does_not_depend_on_what_else_is_imported() -> None:
    """A constructor is shown where callers can make its arguments, whatever was loaded before."""
    code = "from costlens_policy.cli.api_reference import api_page; import sys; sys.stdout.write(api_page())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert ran.stdout.decode() == api_page()


def errors() -> Iterator[type[Exception]]:
    """Yield every error of the package that is raised on purpose and may reach a caller."""
    for found in pkgutil.walk_packages(costlens_policy.__path__, "costlens_policy."):
        if found.name.endswith("__main__") or found.name.startswith(PROGRAM):
            continue
        if found.name in INSTALLED_BESIDE:
            continue
        for name, value in vars(importlib.import_module(found.name)).items():
            if isinstance(value, type) and issubclass(value, costlens_policy.CostlensPolicyError) and name[0] != "_":
                yield value


INTERNAL_ERRORS = {
    "BodyError": "a body that the service refuses; callers get a ServiceError",
    "AdmissionError": "a value that no expression can read; a request with one is a RequestError",
    "CelError": "an expression that failed; a decision lists it in `errors`",
    "IncompleteError": "outcomes that some model lacks; callers catch it as an OutcomesError",
    "InvalidMutantError": "a mutant that cannot be loaded, which does not count",
    "LimitError": "as CelError",
    "PeriodError": "a calendar or zone that does not exist; `check` reports it",
    "RewriteError": "a rewrite that failed; a decision lists it in `errors`",
    "RuleError": "as CelError",
    "UnscoredError": "outcomes without any score; callers catch it as an OutcomesError",
    "WebhookError": "a sink that failed is asked again, and logged",
}


def test_every_error_is_at_the_top() -> None:
    found = {error.__name__: error for error in errors()}
    missing = {name for name, error in found.items() if getattr(costlens_policy, name, None) is not error}
    assert missing == INTERNAL_ERRORS.keys() & found.keys()
    assert INTERNAL_ERRORS.keys() <= found.keys()


def imports(text: str) -> Iterator[tuple[str, str]]:
    for block in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("costlens_policy"):
                yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_import_what_is_public(page: Path) -> None:
    used = [item for item in imports(page.read_text("utf-8")) if item not in PUBLIC_BESIDE]
    assert [item for item in used if item[0] not in {*PUBLIC_MODULES, "costlens_policy.ledger.laws"}] == []
    assert [item for item in used if item[1] not in importlib.import_module(item[0]).__all__] == []
