"""Values of signals that callers bring: refused, unless the service trusts them."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.errors import SettingsError
from costlens_policy.service.signal_sources import SourceName, check_sources, load_sources
from tests.guard.test_signals import FILES
from tests.service.asking import Asked

SOURCES = """
def risk(request):
    return 90 if "angry" in request["prompt"] else 10

async def mood(request):
    return "calm"
"""
CHAT: dict[str, Any] = {"model": "mini", "messages": [{"role": "user", "content": "hi"}]}
REQUEST: dict[str, Any] = {"prompt": "hi", "signals": {"risk": 90, "mood": "calm"}}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / f"{name}.yaml").write_text(text.replace("50ms", "30s"), encoding="utf-8")
    return tmp_path


def test_values_of_signals_are_refused_wherever_a_caller_gives_them(policies: Path) -> None:
    with Asked(policies) as service:
        for path, body in [
            ("/v1/decide", {"request": REQUEST}),
            ("/v1/decide", {"request": REQUEST, "now": "2026-05-01T00:00:00Z"}),
            ("/v1/explain", {"request": REQUEST}),
            ("/v1/models", {"request": REQUEST}),
            ("/v1/reserve", {"request": REQUEST}),
            ("/v1/reserve", {"body": CHAT, "dialect": "openai-chat", "attributes": {"signals": {"risk": 0}}}),
        ]:
            answer = service.post(path, body)
            assert answer.status == 400, path
            assert "`signals` must not come from callers" in answer.body.decode()
        batch = service.post("/v1/decide/batch", {"requests": [REQUEST, {"prompt": "hi"}]}).json["answers"]
        assert [item["allow"] for item in batch] == [False, True]
        assert "`signals` must not come from callers" in batch[0]["problems"][0]


def test_a_service_that_trusts_its_callers_takes_them(policies: Path) -> None:
    with Asked(policies, trusts_signals=True) as service:
        assert service.post("/v1/decide", {"request": REQUEST}).json["model"] == "large"
        assert service.post("/v1/reserve", {"request": REQUEST}).json["decision"]["model"] == "large"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the name of a module with sources, in the current folder."""
    name = f"sources_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return name


def _named(*texts: str) -> tuple[SourceName, ...]:
    return tuple(map(SourceName.parse, texts))


def test_sources_of_the_operator_are_asked(policies: Path, module: str) -> None:
    with Asked(policies, sources=_named(f"risk={module}:risk", f"mood={module}:mood")) as service:
        for prompt, model in (("an angry one", "large"), ("hello", "mini")):
            assert service.post("/v1/decide", {"request": {"prompt": prompt}}).json["model"] == model
        batch = service.post("/v1/decide/batch", {"requests": [{"prompt": "an angry one"}]}).json["answers"]
        assert [item["model"] for item in batch] == ["large"]
        assert service.post("/v1/decide", {"request": REQUEST}).status == 400, "callers give no values all the same"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("risk", "must be written as `risk=moderation:risk`, got `risk`"),
        ("risk=moderation", "must be written as"),
        ("riks=MODULE:risk", "there is no external signal `riks`; did you mean `risk`?"),
        ("risk=no_such_module_here:risk", "there is no module `no_such_module_here`"),
        ("risk=MODULE:riks", "of the signal `risk` cannot be imported: `AttributeError"),
    ],
)
def test_what_is_wrong_with_a_source_is_named(policies: Path, module: str, text: str, says: str) -> None:
    plan = load(policies).plan

    def start() -> None:
        names = _named(text.replace("MODULE", module))
        check_sources(names, plan)
        load_sources(names)

    with pytest.raises(SettingsError, match=re.escape(says)):
        start()
