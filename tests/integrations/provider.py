"""A provider on this machine that can fail in every way in which providers do, and knows what it has served.

It speaks the wire formats of OpenAI (chat completions, responses, embeddings) and Anthropic (messages), as JSON and as
server-sent events.
"""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, NamedTuple

from tests.guard.provider import Provider as Answers

__all__ = ["FaultyProvider", "Served", "faulty_provider"]

INPUT: Final = 20
OUTPUT: Final = 5
"""Tokens of each answer; an embedding has no output."""


class Served(NamedTuple):
    """One answer that was sent as a whole, with the usage that it reported."""

    model: str
    path: str
    input: int = INPUT
    output: int = OUTPUT


class FaultyProvider:
    """``faults`` are what becomes of the next requests, in order; when none is left, all is well.

    A status (``429``, ``503``) is answered; ``reset`` closes the connection instead of answering; ``cut`` ends in the
    middle of the body, ``mute`` before it; ``hang`` stays there until the test is over; ``malformed`` answers with a
    body that is no JSON; ``stall`` answers nothing until the test is over; ``failing`` ends a stream with an event that
    reports an error.
    """

    def __init__(self) -> None:
        self.url = ""
        self.faults: list[int | str] = []
        self.headers: dict[str, str] = {}
        """Headers of answers with an error."""
        self.bodies: list[dict[str, Any]] = []
        """What was asked, in order."""
        self.paths: list[str] = []
        self.served: list[Served] = []
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._answers = Answers()

    @property
    def models(self) -> list[str]:
        return [body["model"] for body in self.bodies]

    def next_fault(self, path: str, body: dict[str, Any]) -> int | str:
        with self._lock:
            self.paths.append(path)
            self.bodies.append(body)
            return self.faults.pop(0) if self.faults else "none"

    def answer(self, path: str, body: dict[str, Any]) -> Any:
        """Return an object, or a list of events for a stream."""
        if path.endswith("/embeddings"):
            given = body["input"]
            several = isinstance(given, list) and isinstance(given[0], str | list)
            count = len(given) if several else 1
            items = [{"object": "embedding", "index": at, "embedding": [0.5]} for at in range(count)]
            usage = {"prompt_tokens": INPUT, "total_tokens": INPUT}
            return {"object": "list", "model": body["model"], "data": items, "usage": usage}
        return self._answers.answer(path, body)

    def count(self, path: str, body: dict[str, Any]) -> None:
        with self._lock:
            output = 0 if path.endswith("/embeddings") else OUTPUT
            self.served.append(Served(body["model"], path.rpartition("/")[2], output=output))


@contextmanager
def faulty_provider() -> Iterator[FaultyProvider]:
    """Run a provider, and give it; its ``url`` is where it listens."""
    running = FaultyProvider()

    class Handler(_Handler):
        provider = running

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    running.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield running
    finally:
        running.over.set()
        server.shutdown()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Pass over what a client that goes away leaves behind."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    provider: FaultyProvider

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        self._send(200, b'{"object": "list", "data": []}')

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])) or b"{}")
        path = self.path.partition("?")[0]
        if path.startswith("/model/"):  # as Bedrock has it
            body["model"], path = path.split("/")[2], "/v1/messages"
        if path.endswith(":rawPredict"):  # as Vertex has it
            body["model"], path = path.rpartition("/")[2].removesuffix(":rawPredict"), "/v1/messages"
        fault = self.provider.next_fault(path, body)
        try:
            self._respond(path, body, fault)
        except OSError:
            self.close_connection = True  # the client has gone

    def _respond(self, path: str, body: dict[str, Any], fault: int | str) -> None:
        if isinstance(fault, int):
            error = {"type": "error", "error": {"type": "fault", "message": "no"}}
            self._send(fault, json.dumps(error).encode(), self.provider.headers)
        elif fault == "reset":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
        elif fault == "stall":
            self.provider.over.wait(20)
            self.close_connection = True
        elif fault == "malformed":
            self._send(200, b'{"id": "c", "object": ')
        else:
            self._answer(path, body, fault)

    def _answer(self, path: str, body: dict[str, Any], fault: str) -> None:
        said = self.provider.answer(path, body)
        streams = isinstance(said, list)
        pieces = _events(said) if streams else [json.dumps(said).encode()]
        if fault in ("cut", "hang", "mute"):
            half = pieces[: len(pieces) // 2] if streams else [pieces[0][:20]]
            half = [] if fault == "mute" else half
            self._head("text/event-stream" if streams else "application/json", sum(map(len, pieces)))
            self.wfile.write(b"".join(half))
            if fault == "hang":
                self.provider.over.wait(20)
            self.close_connection = True
            return
        if fault == "failing":
            pieces = [*pieces[:2], b'event: error\ndata: {"type": "error", "error": {"message": "overloaded"}}\n\n']
        else:
            self.provider.count(path, body)
        self._head("text/event-stream" if streams else "application/json", sum(map(len, pieces)))
        for piece in pieces:
            self.wfile.write(piece)

    def _head(self, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(length))
        self.end_headers()

    def _send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


def _events(said: list[Any]) -> list[bytes]:
    typed = "type" in said[0]
    events = [
        (f"event: {event['type']}\n" if typed else "").encode() + f"data: {json.dumps(event)}\n\n".encode()
        for event in said
    ]
    return events if typed else [*events, b"data: [DONE]\n\n"]
