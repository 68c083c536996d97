"""Webhooks against a server of this machine: signed, retried, never sent elsewhere."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from costlens_policy.clock import system_now
from costlens_policy.guard import Event, GuardError, WebhookSink
from costlens_policy.guard.webhook import WebhookError, sign
from costlens_policy.ledger import open_ledger
from tests.guard.company import REQUEST
from tests.guard.test_alerts import THRESHOLDS, wait_for

EVENT = Event("e-1", "alert", datetime(2026, 5, 10, tzinfo=UTC), "half is spent, für alle", "set 1", "p/team", "rot")


@pytest.fixture
def server():
    """Serve ``answers`` (200 when they are used up) and keep what was received."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.received.append((dict(self.headers), body))
            status = self.server.answers.pop(0) if self.server.answers else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Handler)
    httpd.received, httpd.answers = [], []
    httpd.url = f"http://127.0.0.1:{httpd.server_port}/hook"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def test_signed(server):
    WebhookSink(server.url, "secret", headers={"X-Team": "a"}, clock=lambda: 1234.5)(EVENT)
    ((headers, body),) = server.received
    assert json.loads(body) == EVENT.to_dict()
    assert (headers["X-Costlens-Event"], headers["X-Costlens-Timestamp"], headers["X-Team"]) == ("e-1", "1234", "a")
    assert headers["X-Costlens-Signature"] == sign("secret", "1234", body)
    assert headers["X-Costlens-Signature"] != sign("other", "1234", body)
    assert headers["Content-Type"] == "application/json"


def test_the_signature_is_hmac_sha256():
    assert sign("key", "1", b"{}") == "sha256=1ba6b8171186efc613e8bcc0cbdab2748f24984d7c5a84faa2637afa0e40d224"


@pytest.mark.parametrize("status", [302, 400, 500, 503])
def test_what_is_not_taken_raises(server, status):
    server.answers.append(status)
    with pytest.raises(WebhookError, match=f"`127.0.0.1` answered {status}"):
        WebhookSink(server.url, "secret")(EVENT)
    assert len(server.received) == 1


def test_nobody_there(server):
    port = server.server_port
    server.shutdown()
    server.server_close()
    with pytest.raises(WebhookError, match="cannot be reached"):
        WebhookSink(f"http://127.0.0.1:{port}/", "secret", timeout=2)(EVENT)


def test_retried_until_it_is_taken(guard_of, ledger, server):
    server.answers += [500, 302, 503]
    guard = guard_of(THRESHOLDS, alert_sinks=[WebhookSink(server.url, "secret")], retry_delay=0.01, clock=system_now)
    for _ in range(5):
        guard.call(REQUEST)
    wait_for(lambda: len(server.received) == 4)
    assert len({headers["X-Costlens-Event"] for headers, _ in server.received}) == 1
    assert guard.flush()
    store = open_ledger(ledger) if isinstance(ledger, str) else ledger
    assert store.pending_alerts(system_now() + timedelta(hours=1), timedelta(minutes=1)) == ()


@pytest.mark.parametrize(
    ("url", "secret", "problem"),
    [
        ("file:///etc/passwd", "s", "must be an `http` or `https` URL"),
        ("http://", "s", "must be an `http` or `https` URL"),
        (3, "s", "must be an `http` or `https` URL"),
        ("https://example.com", "", "needs a secret"),
        ("https://example.com", b"s", "needs a secret"),
    ],
)
def test_wrong_settings(url, secret, problem):
    with pytest.raises(GuardError, match=problem):
        WebhookSink(url, secret)
