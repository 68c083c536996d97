"""Ways to ask a service: in this process, through ASGI, and a real one, through a socket."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from costlens_policy.service.application import Application
from costlens_policy.service.settings import Open, Settings

__all__ = ["Answer", "Asked", "Running", "running"]

_PATIENCE = 30.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


class Asked:
    """An application on an event loop of its own."""

    def __init__(self, *policies: Path, ledger: str = "memory:", keys: Path | None = None, **facts: Any) -> None:
        facts.setdefault("open", frozenset({Open.EVERYTHING}) if keys is None else frozenset())
        facts.setdefault("cache", False)
        facts.setdefault("reload_seconds", 0.05)
        self.application = Application(Settings(tuple(map(str, policies)), ledger, keys, **facts))
        self.loop = asyncio.new_event_loop()

    def __enter__(self) -> Asked:
        self.loop.run_until_complete(self.application.start())
        return self

    def __exit__(self, *_: object) -> None:
        self.loop.run_until_complete(self.application.stop())
        self.loop.close()

    def get(self, path: str, **facts: Any) -> Answer:
        return self.loop.run_until_complete(self.ask("GET", path, b"", **facts))

    def post(self, path: str, body: Any, **facts: Any) -> Answer:
        return self.loop.run_until_complete(self.ask("POST", path, body, **facts))

    async def ask(
        self, method: str, path: str, body: Any, *, key: str = "", parts: Sequence[bytes] | None = None
    ) -> Answer:
        """Ask once. ``parts`` are those in which a body arrives that never ends."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        waiting = [raw] if parts is None else list(parts)
        sent: list[Any] = []
        path, _, query = path.partition("?")

        async def receive() -> dict[str, Any]:
            if not waiting:
                await asyncio.sleep(60)
            part = waiting.pop(0)
            return {"type": "http.request", "body": part, "more_body": parts is not None}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [(b"authorization", f"Bearer {key}".encode())] if key else [],
        }
        await self.application(scope, receive, send)
        start, end = sent
        headers = {name.decode(): value.decode() for name, value in start["headers"]}
        assert int(headers["content-length"]) == len(end["body"])
        return Answer(start["status"], headers, end["body"])


@dataclass
class Running:
    """A service in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    errors: Path
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def ask(self, method: str, path: str, body: Any = None, key: str = "") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_PATIENCE)
        try:
            headers = {"authorization": f"Bearer {key}"} if key else {}
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, key: str = "") -> Answer:
        return self.ask("POST", path, body, key)

    def get(self, path: str, key: str = "") -> Answer:
        return self.ask("GET", path, None, key)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(_PATIENCE)


@contextmanager
def running(*arguments: str, folder: Path, key: bool = False, patient: bool = True) -> Iterator[Running]:
    """Run ``costlens-policy serve`` in a folder on a free port, without keys unless ``key``; end it in any case.

    A ``patient`` caller waits until it answers, which needs plain HTTP.
    """
    errors = folder / "errors.txt"
    command = [sys.executable, "-m", "costlens_policy", "serve", *arguments, "--listen", "127.0.0.1:0"]
    command += [] if key else ["--without-key", "everything"]
    with errors.open("w") as stream:
        process = subprocess.Popen(command, cwd=folder, stderr=stream, text=True, start_new_session=True)
    try:
        yield Running(process, _port(process, errors, patient=patient), errors)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_PATIENCE)


def _port(process: subprocess.Popen[str], errors: Path, *, patient: bool) -> int:
    """Return the port once somebody answers there."""
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        lines = [line for line in errors.read_text().splitlines() if line.startswith("listening on 127.0.0.1:")]
        assert process.poll() is None, errors.read_text()
        if lines:
            port = int(lines[0].rpartition(":")[2])
            if not patient:
                return port
            with socket.create_connection(("127.0.0.1", port), _PATIENCE) as connection:
                connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")
                if connection.recv(1):
                    return port
        time.sleep(0.05)
    raise AssertionError(f"the service did not start: {errors.read_text()}")
