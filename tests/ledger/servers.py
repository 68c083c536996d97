"""Real servers for the tests: Redis and PostgreSQL on free ports, in folders of their own, gone when the tests are.

``python -m tests.ledger.servers`` installs the Debian packages that are missing, where that is possible.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["Server", "postgresql_server", "redis_server"]

_PACKAGES = {"redis-server": "redis-server", "initdb": "postgresql"}
_PATIENCE = 30.0


@dataclass(frozen=True)
class Server:
    """A running server. ``address`` is its URL without options."""

    address: str
    port: int
    process: subprocess.Popen[bytes]

    def url(self, ledger: str) -> str:
        return f"{self.address}?ledger={ledger}"


@contextmanager
def redis_server(*options: str) -> Iterator[Server]:
    """Run a Redis server that keeps nothing on disk."""
    program = _program("redis-server")
    with _folder() as folder:
        port = _free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no", *options]
        with _running(command, folder, user=None) as process:
            _wait(process, folder, lambda: _answers(port, b"PING\r\n", b"+PONG"))
            yield Server(f"redis://127.0.0.1:{port}/0", port, process)


@contextmanager
def postgresql_server(durable: bool = False) -> Iterator[Server]:
    """Run a PostgreSQL server. Unless ``durable`` it does not wait for its disk: tests kill clients only."""
    initdb = _program("initdb")
    with _folder() as folder:
        user = _unprivileged_user()
        if user is not None:
            shutil.chown(folder, user)
        data = folder / "data"
        _run([initdb, "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"], user)
        port = _free_port()
        settings = {
            "port": port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": folder,
            "fsync": "on" if durable else "off",
        }
        settings |= {"max_connections": 120, "log_min_messages": "fatal"}
        command = [str(Path(initdb).with_name("postgres")), "-D", str(data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        with _running(command, folder, user) as process:
            _wait(process, folder, lambda: _accepts(port))
            yield Server(f"postgresql://postgres@127.0.0.1:{port}/postgres", port, process)


def _program(name: str) -> str:
    """Return the path of a program, installing it where that is possible; skip the test where it is not."""
    found = _find(name)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install(_PACKAGES[name])
        found = _find(name)
    if found is None:
        reason = f"`{name}` is missing: install the Debian package `{_PACKAGES[name]}`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return found


def _find(name: str) -> str | None:
    beside = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    return str(beside[-1]) if beside else shutil.which(name)


def _install(package: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # The lock of one worker's apt-get must not fail that of another.
    wait = ["-o", "DPkg::Lock::Timeout=300", "-q"]
    subprocess.run(["apt-get", *wait, "update"], env=environment, check=False, stdout=subprocess.DEVNULL)
    install = ["apt-get", *wait, "install", "-y", "--no-install-recommends", package]
    subprocess.run(install, env=environment, check=False, stdout=subprocess.DEVNULL)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="costlens-server-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running(command: list[str], folder: Path, user: str | None) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", **_as_user(user))
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], folder: Path, ready: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"a server did not start: {(folder / 'server.log').read_text(errors='replace')}")
        time.sleep(0.02)


def _answers(port: int, ask: bytes, answer: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(ask)
            return connection.recv(64).startswith(answer)
    except OSError:
        return False


def _accepts(port: int) -> bool:
    import psycopg

    try:
        psycopg.connect(f"postgresql://postgres@127.0.0.1:{port}/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _free_port() -> int:
    """Return a port that is free, and low enough for the second one that a cluster's node opens 10,000 above it."""
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        if port < 55_536:
            return port


def _unprivileged_user() -> str | None:
    """Return whom PostgreSQL runs as, since it refuses to run as root; None for oneself."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            pwd.getpwnam(name)
        except KeyError:
            continue
        return name
    pytest.fail("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")


def _as_user(user: str | None) -> dict[str, object]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _run(command: list[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", **_as_user(user))
    if done.returncode:
        pytest.fail(f"`{command[0]}` failed: {done.stderr}")


if __name__ == "__main__":
    missing = [package for name, package in _PACKAGES.items() if _find(name) is None]
    for package in missing:
        _install(package)
    sys.exit(any(_find(name) is None for name in _PACKAGES))
