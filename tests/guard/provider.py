"""A provider on a free port of this machine, which speaks the wire formats of OpenAI and Anthropic."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

__all__ = ["Provider", "provider"]

WORDS: Final = ["Soon", "."]
CHAT_USAGE: Final = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}
MESSAGE_USAGE: Final = {"input_tokens": 20, "output_tokens": 5}
RESPONSE_USAGE: Final = {
    **MESSAGE_USAGE,
    "total_tokens": 25,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


class Provider:
    """Answers every request. ``stalled`` are models that do not; ``asked`` are those that were asked, in order."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.stalled: set[str] = set()
        self.go = threading.Event()
        self.url = ""

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """Return an object, or a list of events for a stream."""
        self.asked.append(body["model"])
        if body["model"] in self.stalled:
            self.go.wait(10)
        make = {"messages": _message, "responses": _response, "completions": _chat}[path.rpartition("/")[2]]
        return make(body["model"], stream=bool(body.get("stream")), options=body.get("stream_options") or {})


def _chat(model: str, *, stream: bool, options: dict[str, Any]) -> Any:
    base = {"id": "c", "created": 1, "model": model}
    if not stream:
        message = {"role": "assistant", "content": "".join(WORDS)}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        return {**base, "object": "chat.completion", "choices": [choice], "usage": CHAT_USAGE}
    chunk = {**base, "object": "chat.completion.chunk"}
    deltas = [*({"content": word} for word in WORDS), {}]
    chunks = [
        {**chunk, "choices": [{"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}]}
        for delta in deltas
    ]
    return [*chunks, {**chunk, "choices": [], "usage": CHAT_USAGE}] if options.get("include_usage") else chunks


def _message(model: str, *, stream: bool, options: dict[str, Any]) -> Any:
    base = {"id": "m", "type": "message", "role": "assistant", "model": model, "stop_sequence": None}
    if not stream:
        content = [{"type": "text", "text": "".join(WORDS)}]
        return {**base, "content": content, "stop_reason": "end_turn", "usage": MESSAGE_USAGE}
    start = {**base, "content": [], "stop_reason": None, "usage": {**MESSAGE_USAGE, "output_tokens": 1}}
    texts = (
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": word}} for word in WORDS
    )
    return [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *texts,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": MESSAGE_USAGE["output_tokens"]},
        },
        {"type": "message_stop"},
    ]


def _response(model: str, *, stream: bool, options: dict[str, Any]) -> Any:
    text = {"type": "output_text", "text": "".join(WORDS), "annotations": []}
    item = {"id": "i", "type": "message", "role": "assistant", "status": "completed", "content": [text]}
    whole = {
        "id": "r", "object": "response", "created_at": 1, "model": model, "status": "completed", "output": [item],
        "parallel_tool_calls": True, "tool_choice": "auto", "tools": [], "usage": RESPONSE_USAGE,
    }  # fmt: skip
    if not stream:
        return whole
    begun = {**whole, "output": [], "status": "in_progress", "usage": None}
    at = {"item_id": "i", "output_index": 0, "content_index": 0}
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}},
        {"type": "response.content_part.added", **at, "part": {**text, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in WORDS),
        {"type": "response.output_text.done", **at, "text": text["text"], "logprobs": []},
        {"type": "response.content_part.done", **at, "part": text},
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


@contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider, and give it; its ``url`` is where it listens."""
    running = Provider()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            said = running.answer(self.path, body)
            self.send_response(200)
            self.send_header("content-type", "text/event-stream" if isinstance(said, list) else "application/json")
            self.end_headers()
            try:
                self.wfile.write(_written(said))
            except OSError:
                return  # the client has gone

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    running.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield running
    finally:
        running.go.set()
        server.shutdown()
        server.server_close()


def _written(said: Any) -> bytes:
    if not isinstance(said, list):
        return json.dumps(said).encode()
    events = (f"event: {event['type']}\n" if "type" in event else "" for event in said)
    text = "".join(f"{lead}data: {json.dumps(event)}\n\n" for lead, event in zip(events, said, strict=True))
    return (text if "type" in said[0] else text + "data: [DONE]\n\n").encode()
