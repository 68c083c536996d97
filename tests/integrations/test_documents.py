"""What the pages on wrapped clients, ASGI and pytest show is run, with the reference policies."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import DeniedError, Guard, load
from costlens_policy.integrations import asking
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.integrations.provider import FaultyProvider
from tests.integrations.test_pytest_plugin import project, run_pytest

__all__ = ["project"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: FaultyProvider) -> Path:
    """Give a folder with the reference policies, where the SDKs ask the provider when they are told nothing else."""
    for name, path in (("OPENAI", "/v1"), ("ANTHROPIC", "")):
        monkeypatch.setenv(f"{name}_API_KEY", "none")
        monkeypatch.setenv(f"{name}_BASE_URL", provider.url + path)
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_page(name: str, only: str = "") -> dict[str, Any]:
    """Run every Python block of a page in one namespace, or those with a text; return it."""
    names: dict[str, Any] = {}
    for block in blocks((ROOT / name).read_text(encoding="utf-8")):
        if block.language == "python" and only in block.text:
            exec(compile(block.text, name, "exec", dont_inherit=True), names)
    return names


def test_wrapped_clients(folder: Path, provider: FaultyProvider, capsys: pytest.CaptureFixture[str]) -> None:
    names = run_page("docs/clients.md")
    assert capsys.readouterr().out.startswith("Soon.\nSoon.")
    assert len(provider.bodies) == 3
    (line,) = [item for item in names["guard"].spend("team-month") if item.key == "support"]
    assert line.used > 0
    assert sum(item.held for item in names["guard"].spend()) == 0
    names["guard"].close()


def test_the_readme(folder: Path, provider: FaultyProvider) -> None:
    client = run_page("README.md", only="wrap(")["client"]
    guard = client._costlens.guard
    (line,) = [item for item in guard.spend("team-month") if item.key == "support"]
    assert (line.used > 0, line.held) == (True, 0)
    assert len(provider.bodies) == 1
    guard.close()


def test_asgi(folder: Path, provider: FaultyProvider) -> None:
    names = run_page("docs/asgi.md")
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def run() -> Any:
        scope = {"type": "http", "headers": [(b"x-team", b"support"), (b"x-tier", b"premium")]}
        await names["app"](scope, None, send)
        (line,) = [item for item in await names["guard"].spend("team-month") if item.key == "support"]
        await names["guard"].close()
        return line

    line = asyncio.run(run())
    assert sent[-1]["body"] == b"Soon."
    assert (line.used > 0, line.held) == (True, 0)
    with Guard(load("policies/")) as guard, pytest.raises(DeniedError) as denied, asking():
        guard.call({"prompt": "Hello", "cost_budget": 0})
    status, headers, body = asyncio.run(names["answered"](None, denied.value))
    assert (status, headers["x-should-retry"], body["error"]["code"]) == (403, "false", "policy_denied")


def test_pytest(project: Path) -> None:
    (block,) = (item for item in blocks((ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")))
    _, output = run_pytest(project, "-v")
    shown = {" ".join(line.split()) for line in output.splitlines()}
    for line in block.text.splitlines()[1:]:
        words = " ".join(line.split()).strip("_ ")
        assert any(words in item for item in shown), line
