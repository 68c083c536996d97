"""What a service does when something around it fails: the ledger, the policies, the network, its clients."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import shutil
import socket
import ssl
import subprocess
import time
from datetime import timedelta

import pytest
import redis

from costlens_policy.service.settings import Limits
from tests.guard.company import REQUEST, TEAM, write_company
from tests.ledger.servers import redis_server
from tests.service.asking import Asked, running

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}
ROOMY = TEAM.replace("0.01", "1000")
ALLOWANCE = "ledger: {unreachable: allow, allowance_usd: 0.003}"


def _until(holds):
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_store_that_goes_away_and_comes_back(tmp_path):
    """Charges wait and are written; without an allowance nothing is let through meanwhile."""
    write_company(tmp_path / "policies", ROOMY)
    with redis_server("--appendonly", "yes", "--appendfsync", "always") as server:
        port = server.port
        folder = redis.Redis(port=port).config_get("dir")["dir"]
        with running("policies", "--ledger", server.url("away"), "--workers", "2", folder=tmp_path) as service:
            for number in range(8):
                assert service.post("/v1/reserve", {"request": REQUEST, "id": f"job-{number}"}).status == 200
            server.process.kill()
            server.process.wait()
            lost = service.post("/v1/reserve", {"request": REQUEST, "id": "late"})
            assert (lost.status, lost.code) == (503, "ledger_unavailable"), lost.body
            settled = service.post("/v1/settle", {"id": "job-1", "usage": USAGE})
            assert (settled.status, settled.code) == (503, "ledger_unavailable")
            assert str(port) not in settled.body.decode()
            assert service.get("/health").status == 200
            _until(lambda: service.get("/ready").status == 503)
            command = [str(shutil.which("redis-server")), "--port", str(port), "--bind", "127.0.0.1", "--dir", folder]
            again = subprocess.Popen([*command, "--appendonly", "yes"], stdout=subprocess.DEVNULL)
            try:
                _until(lambda: service.get("/ready").status == 200)
                _until(lambda: service.post("/v1/reserve", {"request": REQUEST, "id": "new"}).status == 200)
                for id in ("new", *(f"job-{number}" for number in range(8))):
                    _until(lambda id=id: service.post("/v1/settle", {"id": id, "usage": USAGE}).status == 200)
                _until(lambda: [line["held"] for line in service.get("/v1/spend").json["budgets"]] == ["0"])
                (line,) = service.get("/v1/spend").json["budgets"]
                assert line["used"] == "0.0108"
                assert service.end() == 0
            finally:
                again.kill()
                again.wait()


def test_policies_that_are_deleted_go_on_serving(tmp_path):
    write_company(tmp_path / "policies", ROOMY)
    with running("policies", "--reload-every", "100ms", folder=tmp_path) as service:
        shutil.rmtree(tmp_path / "policies")
        _until(lambda: service.get("/ready").json["problems"] != [])
        assert service.post("/v1/reserve", {"request": REQUEST}).status == 200
        assert service.get("/ready").status == 200
        assert "refused" in service.get("/metrics").body.decode()
        assert service.end() == 0


def test_clients_that_leave_or_send_nonsense_harm_nobody(tmp_path):
    write_company(tmp_path / "policies", ROOMY)
    with running("policies", "--time-limit", "1s", folder=tmp_path) as service:
        for text in (
            b"GET",
            b"\x16\x03\x01\x00",
            b"POST /v1/reserve HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{",
            b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
            b"POST /v1/decide HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        ):
            with socket.create_connection(("127.0.0.1", service.port), 10) as connection:
                connection.sendall(text)
        with socket.create_connection(("127.0.0.1", service.port), 30) as slow:
            slow.sendall(b"POST /v1/reserve HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{")
            assert slow.recv(100).startswith(b"HTTP/1.1 503")
        assert service.get("/v1/spend").json["budgets"] == []
        assert service.end() == 0
        assert "Traceback" not in service.errors.read_text()


def test_tls_is_spoken_with_the_certificate_that_is_given(tmp_path):
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    write_company(tmp_path / "policies", ROOMY)
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    with running(
        "policies", "--tls-certificate", "cert.pem", "--tls-key", "key.pem", folder=tmp_path, patient=False
    ) as service:
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with (
            socket.create_connection(("127.0.0.1", service.port), 30) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as connection,
        ):
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        assert service.end() == 0


def test_a_call_that_only_one_worker_knows_is_charged_in_full_when_nobody_comes(tmp_path):
    """The ledger is out of reach, the allowance lets a call through, and its lease ends."""
    write_company(tmp_path / "policies", ROOMY, more=ALLOWANCE)
    with redis_server() as server:
        url = server.url("alone")
        with Asked(tmp_path / "policies", ledger=url, lease=timedelta(minutes=1), limits=Limits(seconds=30)) as asked:
            server.process.kill()
            server.process.wait()
            first = asked.post("/v1/reserve", {"request": REQUEST, "id": "first", "lease": "1s"})
            assert (first.status, first.json["expires_at"]) == (200, None), first.body
            kept = asked.application._serving.alone["first"]
            settled = asked.post("/v1/reserve", {"request": REQUEST, "id": "second"})
            assert settled.status == 200
            charge = asked.post("/v1/settle", {"id": "second", "usage": USAGE | {"completion_tokens": 1}})
            assert (charge.status, charge.json["recorded"]) == (200, False)
            full = asked.post("/v1/reserve", {"request": REQUEST, "id": "third"})
            assert full.status == 503
            asked.loop.run_until_complete(asyncio.sleep(1.2))
            assert kept.charged is not None
            assert kept.charged.basis == "assumed"
            assert asked.application._serving.alone == {}


def test_headers_have_an_end_and_a_size(tmp_path):
    """A connection is closed whose client sends headers forever, be it slowly or without measure."""
    write_company(tmp_path / "policies", ROOMY)
    with running("policies", folder=tmp_path) as service:
        with socket.create_connection(("127.0.0.1", service.port), 30) as large:
            large.sendall(b"POST /v1/decide HTTP/1.1\r\nhost: x\r\n")
            sent = 0
            with contextlib.suppress(ConnectionError):  # it is reset, since it goes on sending
                for sent in range(100_000):
                    large.sendall(b"x-%d: %s\r\n" % (sent, b"y" * 1000))
            assert sent < 99_999
        with socket.create_connection(("127.0.0.1", service.port), 30) as slow:
            slow.sendall(b"POST /v1/decide HTTP/1.1\r\n")
            answer = b""
            for _ in range(40):
                slow.sendall(b"x: y\r\n")
                slow.settimeout(0.5)
                with contextlib.suppress(TimeoutError):
                    answer = slow.recv(100)
                    break
            assert answer.startswith(b"HTTP/1.1 408")
        assert service.get("/health").status == 200
        assert service.end() == 0


def test_bodies_that_are_too_large_compressed_or_offer_another_protocol_are_answered(tmp_path):
    write_company(tmp_path / "policies", ROOMY)
    body = json.dumps({"request": REQUEST}).encode()

    def asked(content, *headers):
        """Send all of a body before anything is read, as most clients do, and go on to use the connection."""
        head = [b"POST /v1/decide HTTP/1.1", b"host: x", b"content-length: %d" % len(content), *headers, b"", b""]
        with socket.create_connection(("127.0.0.1", service.port), 30) as connection:
            connection.sendall(b"\r\n".join(head) + content)
            connection.sendall(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            answers = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answers.endswith(b'{"status":"ok"}')
        return answers[9:12]

    with running("policies", folder=tmp_path) as service:
        assert asked(b"x" * 20_000_000) == b"413"
        assert asked(gzip.compress(body), b"content-encoding: gzip") == b"415"
        offer = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAA")
        assert asked(body, *offer) == b"200"  # as clients of Java do
        assert asked(body, b"x-note: pgrade") == b"200"
        assert service.end() == 0
