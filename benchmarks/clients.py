"""What a wrapped client of an SDK adds to a bare one, with the ledger in memory.

``python -m benchmarks.clients [--quick] [--json]``. The provider is a transport in this process that answers at once,
so that what is left is the work of the SDK and the guard: CPU time of one call, the median of many, the ways by turns.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, Final

from benchmarks.guard import company
from benchmarks.section import Cell, Section, run_section
from costlens_policy import Guard, asking, wrap

__all__ = ["section"]

_MESSAGES: Final = [{"role": "user", "content": "Where is my parcel? " * 20}]
_USAGE: Final = {"prompt_tokens": 1000, "completion_tokens": 80, "total_tokens": 1080}
_CHAT: Final = {
    "id": "c", "object": "chat.completion", "created": 1, "model": "small", "usage": _USAGE,
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Soon."}}],
}  # fmt: skip
_CHUNKS: Final = 100
_MESSAGE: Final = {
    "id": "m", "type": "message", "role": "assistant", "model": "small", "stop_reason": "end_turn",
    "stop_sequence": None, "content": [{"type": "text", "text": "Soon."}],
    "usage": {"input_tokens": 1000, "output_tokens": 80},
}  # fmt: skip


def section(*, quick: bool) -> Section:
    """Measure a call by the bare client, by the bare client within ``guard.call``, and by the wrapped one."""
    missing = [name for name in ("openai", "anthropic") if importlib.util.find_spec(name) is None]
    if missing:
        return Section("clients", "Calls of SDK clients", ("a call of",), (), (f"not installed: {', '.join(missing)}",))
    rounds = 300 if quick else 3000
    rows: list[tuple[Cell, ...]] = []
    for budgets in (1, 4):
        with TemporaryDirectory() as folder, Guard(company(Path(folder), budgets), alert_sinks=[]) as guard:
            for name, bare, ask in _clients():
                ways = (partial(ask, bare), _guarded(guard, bare, ask), partial(ask, wrap(bare, guard=guard)))
                with asking(team="support"):
                    times = _by_turns(ways, rounds)
                rows.append((f"{name}, budgets: {budgets}", *times, times[1] - times[0], times[2] - times[0]))
    columns = ("a call of", "bare", "guarded", "wrapped", "guard adds", "wrapping adds")
    return Section("clients", "Calls of SDK clients, ledger in memory, µs of CPU at the median", columns, tuple(rows))


def _guarded(guard: Guard, client: Any, ask: Callable[[Any], Any]) -> Callable[[], Any]:
    """Return a call within ``guard.call`` that sends what it was given, for a floor."""
    request = {"model": "small", "messages": _MESSAGES, "team": "support"}

    def call() -> None:
        with guard.call(request) as held:
            answer = ask(client)
            if hasattr(type(answer), "__next__"):
                _drain(held.stream(answer))
            else:
                held.settle(answer)

    return call


def _drain(answer: Any) -> None:
    """Read a stream to its end."""
    if hasattr(type(answer), "__next__"):
        for _ in answer:
            pass


def _by_turns(ways: Sequence[Callable[[], Any]], rounds: int) -> list[float]:
    """Return the median of each function, in microseconds."""
    times: list[list[int]] = [[] for _ in ways]
    for number in range(rounds + 20):
        for way, taken in zip(ways, times, strict=True):
            start = time.thread_time_ns()
            _drain(way())
            if number >= 20:
                taken.append(time.thread_time_ns() - start)
    return [median(taken) / 1000 for taken in times]


def _clients() -> list[tuple[str, Any, Callable[[Any], Any]]]:
    import anthropic
    import openai

    chat = openai.OpenAI(api_key="none", base_url="http://127.0.0.1/v1", http_client=_http(openai, _CHAT))
    message = anthropic.Anthropic(api_key="none", base_url="http://127.0.0.1", http_client=_http(anthropic, _MESSAGE))
    return [
        ("OpenAI's SDK, chat completion", chat, _ask_chat),
        (f"OpenAI's SDK, stream of {_CHUNKS} chunks", chat, _ask_stream),
        ("Anthropic's SDK, message", message, _ask_message),
    ]


def _ask_chat(client: Any) -> Any:
    return client.chat.completions.create(model="small", messages=_MESSAGES)


def _ask_stream(client: Any) -> Any:
    options = {"include_usage": True}
    return client.chat.completions.create(model="small", messages=_MESSAGES, stream=True, stream_options=options)


def _ask_message(client: Any) -> Any:
    return client.messages.create(model="small", messages=_MESSAGES, max_tokens=200)


def _http(sdk: Any, answer: dict[str, Any]) -> Any:
    """Return an HTTP client that answers every request at once."""
    httpx = sys.modules[sdk.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0]]
    whole, stream = json.dumps(answer).encode(), _stream()

    def answered(request: Any) -> Any:
        if b'"stream":true' in request.content.replace(b" ", b""):
            return httpx.Response(200, content=stream, headers={"content-type": "text/event-stream"})
        return httpx.Response(200, content=whole, headers={"content-type": "application/json"})

    return sdk.DefaultHttpxClient(transport=httpx.MockTransport(answered))


def _stream() -> bytes:
    base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "small"}
    word = {**base, "choices": [{"index": 0, "delta": {"content": "Soon "}, "finish_reason": None}]}
    last = {**base, "choices": [], "usage": _USAGE}
    return (
        b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in [word] * _CHUNKS + [last])
        + b"data: [DONE]\n\n"
    )


if __name__ == "__main__":
    sys.exit(run_section("clients", section, sys.argv[1:]))
