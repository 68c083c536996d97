"""What docs/guard.md shows runs, with stand-ins for the providers' clients."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sys
from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from costlens_policy import AsyncGuard, Guard, load
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks

PAGE = ROOT / "docs" / "guard.md"
USAGE = {"prompt_tokens": 20, "completion_tokens": 5}


class Client:
    """Answers as OpenAI's and Anthropic's clients do, to what they accept."""

    def __init__(self) -> None:
        self.chat = SimpleNamespace(completions=SimpleNamespace(create=self._chat))
        self.messages = SimpleNamespace(create=self._message)

    def _chat(
        self, *, model: str, messages: list[Any], max_completion_tokens: int, stream: bool = False, **_: Any
    ) -> Any:
        assert all((model, messages, max_completion_tokens))
        if stream:
            delta = SimpleNamespace(content="Soon.")
            return [SimpleNamespace(choices=[SimpleNamespace(delta=delta)]), SimpleNamespace(choices=[], usage=USAGE)]
        choice = SimpleNamespace(message=SimpleNamespace(content="Soon."))
        return SimpleNamespace(usage=USAGE, model=model, choices=[choice])

    def _message(self, *, model: str, messages: list[Any], max_tokens: int) -> Any:
        assert all((model, messages, max_tokens))
        return SimpleNamespace(usage={"input_tokens": 20, "output_tokens": 5}, model=model)


class AsyncClient(Client):
    def __init__(self) -> None:
        super().__init__()
        self.chat.completions.create = self._chat_later

    async def _chat_later(self, **arguments: Any) -> Any:
        return self._chat(**arguments)


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """Run every Python block of the page in one namespace, in a folder with the reference policies; return it."""
    for module, names in (
        ("openai", {"OpenAI": Client, "AsyncOpenAI": AsyncClient}),
        ("anthropic", {"Anthropic": Client}),
    ):
        fake = ModuleType(module)
        vars(fake).update(names)
        monkeypatch.setitem(sys.modules, module, fake)
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(PAGE.read_text(encoding="utf-8")):
        if block.language == "python":
            exec(compile(block.text, str(PAGE), "exec", dont_inherit=True), names)
    return names


def test_everything_runs(shown, capsys):
    assert asyncio.run(shown["answer"](shown["request"])) == "Soon."
    (line,) = [item for item in shown["guard"].spend("team-month") if item.key == "support"]
    assert line.used > 0
    assert line.held == 0
    body, secret = b"{}", "s"
    signature = "sha256=" + hmac.new(b"s", b"1." + body, hashlib.sha256).hexdigest()
    headers = {"X-Costlens-Timestamp": "1", "X-Costlens-Signature": signature}
    assert shown["is_genuine"](secret, headers, body)
    assert not shown["is_genuine"](secret, {**headers, "X-Costlens-Timestamp": "2"}, body)


def test_the_policies_of_the_page_on_budgets_are_right(tmp_path):
    """The parts are put together to one policy, and checked with the reference catalogue; variants are one each."""
    page = (ROOT / "docs" / "budgets.md").read_text(encoding="utf-8")
    parts = [block.text for block in blocks(page) if block.language == "yaml"]
    together: dict[str, str] = {}
    variants = []
    for part in parts:
        if part.startswith("budgets:"):
            name = part.split("id: ")[1].split()[0]
            variants += [part] if name in together else []
            together.setdefault(name, part)
    routes = [part for part in parts if part.startswith("routes:")]
    assert len(_budgets_of(tmp_path / "page", _joined(together.values()) + _joined(routes))) == 4
    for number, part in enumerate(variants):
        assert _budgets_of(tmp_path / str(number), part)


def _joined(parts: Iterable[str]) -> str:
    """Return parts that begin with the same key as one."""
    first, *others = parts
    return first + "".join(part.partition("\n")[2] for part in others)


def _budgets_of(folder: Path, policy: str) -> Mapping[str, Any]:
    folder.mkdir()
    head = 'apiVersion: costlens-policy/v1\nkind: Policy\nmetadata: {name: shown, version: "1"}\n'
    (folder / "shown.yaml").write_text(head + policy, encoding="utf-8")
    (folder / "catalogue.yaml").write_text((ROOT / "policies" / "catalogue.yaml").read_text(encoding="utf-8"))
    (folder / "policy-set.yaml").write_text(
        head.replace("Policy\n", "PolicySet\n")
        + "policies: [shown.yaml]\ncatalogues: [catalogue.yaml]\n"
        + "attributes: {tier: {type: string}}\n"
        + "defaults: {access: allow, route: {model: gpt-5-nano}, max_output_tokens: 100}\n",
        encoding="utf-8",
    )
    return load(folder).plan.budgets


def test_every_option_is_told():
    options = [name for name in signature(Guard).parameters if name != "engine"]
    assert options == [name for name in signature(AsyncGuard).parameters if name != "engine"]
    page = PAGE.read_text(encoding="utf-8")
    for name in options:
        assert f"\n| `{name}` |" in page
