"""What docs/guard.md shows runs, with the real SDKs of OpenAI and Anthropic, and a provider on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import AsyncGuard, Guard, load
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks
from tests.guard.company import CATALOGUE, REQUEST, TEAM
from tests.guard.provider import provider

CLAUDE = "  claude: {provider: anthropic, prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}\n"

PAGE = ROOT / "docs" / "guard.md"
openai = pytest.importorskip("openai", reason="the page is run with OpenAI's SDK")
anthropic = pytest.importorskip("anthropic", reason="the page is run with Anthropic's SDK")


@pytest.fixture
def served(monkeypatch):
    """Run a provider that the SDKs ask when they are told nothing else."""
    with provider() as running:
        for name, path in (("OPENAI", "/v1"), ("ANTHROPIC", "")):
            monkeypatch.setenv(f"{name}_API_KEY", "none")
            monkeypatch.setenv(f"{name}_BASE_URL", running.url + path)
        yield running


def snippets() -> list[str]:
    return [block.text for block in blocks(PAGE.read_text(encoding="utf-8")) if block.language == "python"]


def run(snippet: str, names: dict[str, Any]) -> None:
    exec(compile(snippet, str(PAGE), "exec", dont_inherit=True), names)


@pytest.fixture
def shown(tmp_path, monkeypatch, served):
    """Run every Python block of the page in one namespace, in a folder with the reference policies; return it."""
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for snippet in snippets():
        run(snippet, names)
    return names


def test_a_fallback_answers_after_the_time_out_of_the_sdk(company, served):
    (snippet,) = (text for text in snippets() if "call.fallbacks" in text and "answer_of" not in text)
    served.stalled = {"nano"}
    client = openai.OpenAI(max_retries=0, timeout=0.2)
    names = {"guard": Guard(company(TEAM, models="nano, mini"), alert_sinks=[]), "request": REQUEST, "client": client}
    run(snippet, names)
    assert served.asked == ["nano", "mini"]
    assert (names["call"].charged.model, names["call"].charged.basis) == ("mini", "reported")


def test_each_model_is_asked_at_its_own_provider(company, served):
    (snippet,) = (text for text in snippets() if "answer_of" in text)
    names = {"openai": openai, "OpenAI": openai.OpenAI, "Anthropic": anthropic.Anthropic, "request": REQUEST}
    names["guard"] = Guard(company(TEAM, models="nano, claude", catalogue=CATALOGUE + CLAUDE), alert_sinks=[])
    served.stalled = {"nano"}
    run(snippet.replace("max_retries=0", "max_retries=0, timeout=0.2"), names)
    assert served.asked == ["nano", "claude"]
    assert (names["call"].charged.model, names["call"].charged.basis) == ("claude", "reported")


def test_the_streams_of_the_sdks(company, served):
    """Of every helper, as events of its own: the usage that came with it is charged."""
    guard = Guard(company(TEAM.replace("0.01", "1")), alert_sinks=[])
    with_usage = {"stream_options": {"include_usage": True}}
    chat, claude = openai.OpenAI(), anthropic.Anthropic()
    streams = {
        "chat": lambda call: chat.chat.completions.create(stream=True, **with_usage, **call.arguments),
        "chat helper": lambda call: chat.chat.completions.stream(**with_usage, **call.arguments),
        "responses": lambda call: chat.responses.create(stream=True, **call.arguments_for("openai-responses")),
        "responses helper": lambda call: chat.responses.stream(**call.arguments_for("openai-responses")),
        "messages": lambda call: claude.messages.create(stream=True, **call.arguments_for("anthropic")),
        "messages helper": lambda call: claude.messages.stream(**call.arguments_for("anthropic")),
        "raw": lambda call: chat.chat.completions.with_raw_response.create(stream=True, **with_usage, **call.arguments),
        "raw, as it comes": lambda call: chat.chat.completions.with_streaming_response.create(
            stream=True, **with_usage, **call.arguments
        ),
    }
    for name, open_stream in streams.items():
        with guard.call(REQUEST) as call:
            assert list(call.stream(open_stream(call))), name
        assert (call.charged.basis, call.charged.usage.output) == ("reported", 5), name


def test_raw_responses_of_the_sdks(company, served):
    guard = Guard(company(TEAM.replace("0.01", "1")), alert_sinks=[])
    chat, claude = openai.OpenAI(), anthropic.Anthropic()
    with guard.call(REQUEST) as call:
        call.settle(chat.chat.completions.with_raw_response.create(**call.arguments))
    assert (call.charged.basis, call.charged.usage.output) == ("reported", 5)
    with guard.call(REQUEST) as call:
        call.settle(claude.messages.with_raw_response.create(**call.arguments_for("anthropic")))
    assert (call.charged.basis, call.charged.usage.output) == ("reported", 5)


def test_async_streams_of_the_sdks(company, served):
    async def main():
        chat, claude = openai.AsyncOpenAI(), anthropic.AsyncAnthropic()
        with_usage = {"stream_options": {"include_usage": True}}
        streams = {
            "chat": lambda call: chat.chat.completions.create(stream=True, **with_usage, **call.arguments),
            "chat helper": lambda call: chat.chat.completions.stream(**with_usage, **call.arguments),
            "responses helper": lambda call: chat.responses.stream(**call.arguments_for("openai-responses")),
            "messages": lambda call: claude.messages.create(stream=True, **call.arguments_for("anthropic")),
            "messages helper": lambda call: claude.messages.stream(**call.arguments_for("anthropic")),
            "raw, as it comes": lambda call: chat.chat.completions.with_streaming_response.create(
                stream=True, **with_usage, **call.arguments
            ),
        }
        async with AsyncGuard(company(TEAM.replace("0.01", "1")), alert_sinks=[]) as guard:
            for name, open_stream in streams.items():
                async with guard.call(REQUEST) as call:
                    assert [chunk async for chunk in call.stream(open_stream(call))], name
                assert (call.charged.basis, call.charged.usage.output) == ("reported", 5), name
                async with guard.call(REQUEST) as call:
                    count = 0
                    async for _ in call.stream(open_stream(call)):
                        count += 1
                        if count == 4:
                            break
                assert call.charged is not None, name
                assert not call.charged.late, name
            assert sum(line.held for line in await guard.spend()) == 0
        await chat.close()
        await claude.close()

    asyncio.run(main())


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
    assert len(_budgets_of(tmp_path / "page", _joined(together.values()) + _joined(routes))) == 16
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
