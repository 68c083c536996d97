"""Policies from an object store that speaks S3: a server of moto, which keeps to Amazon's API, in its own process."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from costlens_policy import InputError, LivePolicies
from costlens_policy.bundles import SigningKey, Trust, build, sign
from costlens_policy.live import ObjectSource
from tests.conftest import ROOT
from tests.guard.company import REQUEST
from tests.live.conftest import folder, write  # noqa: F401 - fixtures

Write = Callable[..., Path]

VERSION = "moto[s3,server]>=5,<6"
PATIENCE = 60.0
OPTIONS = {
    "access_key_id": "k",
    "secret_access_key": "s",
    "region": "us-east-1",
    "client_options": {"allow_http": True},
    "timeout": 5.0,
}


def moto() -> Path:
    """Return the Python of an environment with the server, which is made once."""
    place = ROOT / "build" / "moto"
    python, done = place / "bin" / "python", place / ".installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", place], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", VERSION], check=True)
        done.touch()
    return python


class Store:
    """A bucket on this machine, with what tests do to it by plain HTTP."""

    def __init__(self, python: Path) -> None:
        command = [str(python.parent / "moto_server"), "-H", "127.0.0.1", "-p", "0"]
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._server.stdout is not None
        line = next((line for line in self._server.stdout if "Running on http" in line), "")
        self.url = line.split()[-1]
        self.put("")

    def put(self, key: str, content: bytes = b"") -> None:
        self._send("PUT", key, content)

    def delete(self, key: str) -> None:
        self._send("DELETE", key)

    def _send(self, method: str, key: str, content: bytes | None = None) -> None:
        request = urllib.request.Request(f"{self.url}/policies/{key}", data=content, method=method)
        request.add_header("Content-Type", "application/octet-stream")
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request")
        with urllib.request.urlopen(request, timeout=PATIENCE):
            pass

    def close(self) -> None:
        self._server.terminate()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()

    def source(self, key: str = "live/p.bundle", **more: object) -> ObjectSource:
        return ObjectSource(
            f"s3://policies/{key}",
            **{**OPTIONS, "endpoint": self.url, **more},  # type: ignore[arg-type]
        )


@pytest.fixture
def store() -> Iterator[Store]:
    made = Store(moto())
    yield made
    made.close()


def test_a_bundle_in_a_bucket_is_followed(store: Store, write: Write, tmp_path: Path) -> None:  # noqa: F811
    store.put("live/p.bundle", build(write()).packed)
    live = LivePolicies(store.source(), interval=None)
    fetched = live.plan
    assert live.refresh().is_current
    assert live.plan is fetched  # the entity tag says that nothing has changed
    store.put("live/p.bundle", build(write(models="mini")).packed)
    assert live.refresh().loads == 2
    assert live.decide(REQUEST).model == "mini"
    store.put("live/p.bundle", b"no bundle")
    assert "not a bundle" in live.refresh().problem
    assert "not a bundle" in live.refresh().problem
    store.delete("live/p.bundle")
    assert "cannot be fetched" in live.refresh().problem
    store.put("live/p.bundle", build(write(models="nano")).packed)
    assert live.refresh().is_current
    store.close()
    assert "cannot be fetched" in live.refresh().problem
    assert live.decide(REQUEST).model == "nano"


def test_signatures_count_in_a_bucket(store: Store, write: Write, tmp_path: Path) -> None:  # noqa: F811
    SigningKey.generate().write(tmp_path / "key")
    key, bundle = SigningKey.read(tmp_path / "key"), build(write())
    store.put("live/p.bundle", sign(bundle, key, 2).packed)
    live = LivePolicies(store.source(trust=Trust(tmp_path / "key.pub")), interval=None)
    for bad in (bundle, sign(bundle, SigningKey.generate(), 3), sign(bundle, key, 1)):
        store.put("live/p.bundle", bad.packed)
        assert live.refresh().problem
        assert live.refresh().problem
    store.put("live/p.bundle", sign(bundle, key, 3).packed)
    assert live.refresh().is_current


def test_no_secret_is_in_an_error(store: Store) -> None:
    with pytest.raises(InputError, match=r"s3://policies/nowhere.bundle.*cannot be fetched") as caught:
        store.source("nowhere.bundle", secret_access_key="topsecret").fetch()
    assert "topsecret" not in str(caught.value)
