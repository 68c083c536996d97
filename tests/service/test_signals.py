"""Values of signals that callers bring: refused, unless the service trusts them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.guard.test_signals import FILES
from tests.service.asking import Asked

CHAT: dict[str, Any] = {"model": "mini", "messages": [{"role": "user", "content": "hi"}]}
REQUEST: dict[str, Any] = {"prompt": "hi", "signals": {"risk": 90, "mood": "calm"}}


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
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
