"""Running the service: sockets, workers, signals. The server is uvicorn with httptools and uvloop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess

from costlens_policy.compiler.plan import Plan
from costlens_policy.decision_log import DecisionLog
from costlens_policy.errors import InputError, SettingsError
from costlens_policy.guard import GuardError
from costlens_policy.guard.shared import checked_lease
from costlens_policy.ledger import LedgerUnavailableError, open_ledger
from costlens_policy.service.application import Application
from costlens_policy.service.connections import Connection
from costlens_policy.service.keys import KeyFile
from costlens_policy.service.metrics import FOLDER
from costlens_policy.service.settings import Address, Open, Settings, Tls, UnixPath
from costlens_policy.service.signal_sources import check_sources

__all__ = ["serve"]

_LOG: Final = logging.getLogger("costlens_policy.service")
_KEEP_ALIVE: Final = 75
"""Seconds for which a connection may be idle: longer than clients and proxies keep theirs, so that they close it."""
_BACKLOG: Final = 2048
_ACCEPTING: Final = 0.05
"""Seconds in which those who wait to be accepted when the service stops are accepted."""
_SIGN: Final = 1.0
"""Seconds in which a worker that starts says whether it serves; asked again, it may have ended."""
_HUNG: Final = 30
"""Seconds after which a worker that gives no sign of life is replaced. A busy machine is no reason for it."""


def serve(
    settings: Settings,
    addresses: Sequence[Address | UnixPath],
    *,
    workers: int = 1,
    tls: Tls | None = None,
    beyond_loopback: bool = False,
    ready: Callable[[Sequence[Address | UnixPath]], None] = lambda _: None,
) -> bool:
    """Serve until a signal ends it; return whether a signal did. ``ready`` is called with the addresses as bound.

    It is called once all workers answer. SIGTERM and SIGINT finish what is under way, for at most
    ``settings.limits.shutdown_seconds``. Raises ``SettingsError`` for what must not be served so, ``InputError`` where
    a socket cannot be had, ``PolicyError`` and ``LedgerError``.
    """
    _check(settings, addresses, workers=workers, beyond_loopback=beyond_loopback)
    if settings.keys is not None:
        KeyFile(settings.keys).read()
    plan = settings.source().fetch().plan  # what is wrong is reported once, and before anything listens
    check_sources(settings.sources, plan)
    _check_ledger(settings, plan)
    if settings.decision_log is not None:
        DecisionLog(settings.decision_log).close()
    if tls is not None:
        _check_tls(tls)
    with ExitStack() as stack:
        sockets = [stack.enter_context(_listening(address)) for address in addresses]
        if workers > 1:
            stack.enter_context(_metrics_folder())
            kept = stack.enter_context(tempfile.TemporaryDirectory(prefix="costlens-policy-last-"))
            settings = replace(settings, last_good=Path(kept) / "policies.plan")
        bound = [_bound(address, item) for address, item in zip(addresses, sockets, strict=True)]
        return _run(_config(settings, workers, tls), sockets, partial(ready, bound))


def _check(settings: Settings, addresses: Sequence[Address | UnixPath], *, workers: int, beyond_loopback: bool) -> None:
    if workers > 1 and settings.ledger.startswith("memory:"):
        raise SettingsError(
            "several workers cannot share a ledger in memory, so that each would spend the whole budget;"
            " use `--ledger sqlite:///spend.db`, `redis://…` or `postgresql://…`"
        )
    if settings.keys is None and not settings.is_open(Open.EVERYTHING):
        raise SettingsError(
            "nothing is answered without a key; make one with `costlens-policy keys add`, or say"
            " `--without-key everything`"
        )
    try:
        checked_lease(settings.lease)
    except GuardError as error:
        raise SettingsError(str(error)) from None
    outside = [item for item in addresses if isinstance(item, Address) and not item.is_loopback]
    if outside and not beyond_loopback:
        raise SettingsError(
            f"`{outside[0]}` is reachable from other machines; say `--beyond-loopback` if that is meant"
        )


def _check_ledger(settings: Settings, plan: Plan) -> None:
    """Open the ledger once. One that is out of reach is for the workers, where an allowance lets calls through."""
    try:
        open_ledger(settings.ledger).close()
    except LedgerUnavailableError:
        if plan.defaults.allowance_usd is None:
            raise


def _check_tls(tls: Tls) -> None:
    """Read the files once."""
    import ssl

    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls.certificate, tls.key, tls.key_password)
        if tls.client_ca is not None:
            context.load_verify_locations(tls.client_ca)
    except OSError as error:
        raise InputError(f"the certificate and key of TLS cannot be used: {error.strerror or error}") from error


@contextmanager
def _listening(address: Address | UnixPath) -> Iterator[socket.socket]:
    try:
        bound = _unix(address) if isinstance(address, UnixPath) else _tcp(address)
    except OSError as error:
        raise InputError(f"`{address}` cannot be listened on: {(error.strerror or str(error)).lower()}") from error
    with bound:
        yield bound
    if isinstance(address, UnixPath):
        address.path.unlink(missing_ok=True)


def _tcp(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    bound.set_inheritable(True)
    return bound


def _unix(address: UnixPath) -> socket.socket:
    """Make a socket file for its owner only. One that is left over is replaced, one that somebody serves is not."""
    path = address.path
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            if probe.connect_ex(str(path)) == 0:
                raise OSError(0, "another process listens there")
        path.unlink()
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        bound.bind(str(path))
        bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    finally:
        os.umask(before)
    bound.set_inheritable(True)
    return bound


def _bound(address: Address | UnixPath, listening: socket.socket) -> Address | UnixPath:
    return address if isinstance(address, UnixPath) else Address(address.host, listening.getsockname()[1])


@contextmanager
def _metrics_folder() -> Iterator[None]:
    """Give the workers a folder in which they count together, unless there is one."""
    if FOLDER in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="costlens-policy-metrics-") as folder:
        os.environ[FOLDER] = folder
        try:
            yield
        finally:
            del os.environ[FOLDER]


def _config(settings: Settings, workers: int, tls: Tls | None) -> uvicorn.Config:
    import ssl

    files = {}
    if tls is not None:
        files = {
            "ssl_certfile": str(tls.certificate),
            "ssl_keyfile": str(tls.key),
            "ssl_keyfile_password": tls.key_password,
            "ssl_ca_certs": None if tls.client_ca is None else str(tls.client_ca),
            "ssl_cert_reqs": ssl.CERT_NONE if tls.client_ca is None else ssl.CERT_REQUIRED,
        }
    return uvicorn.Config(
        partial(Application, settings),
        factory=True,
        workers=workers,
        loop="asyncio" if sys.platform == "win32" else "uvloop",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_worker_healthcheck=_HUNG,
        timeout_graceful_shutdown=settings.limits.shutdown_seconds,
        **files,  # type: ignore[arg-type, unused-ignore]  # each has the type of its option
    )


def _run(config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> bool:
    """Serve. uvicorn raises the signal that ended it once more when all is done: it ends nothing then."""
    before = {number: signal.signal(number, _ended) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        if config.workers > 1:
            workers = _Workers(config, sockets, ready)
            workers.run()
            return not workers.failed
        server = _Server(config, ready)
        server.run(sockets=sockets)
        return bool(server.started)
    except SystemExit:
        return False  # it did not start, and has said why
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    """A server that says when it answers, and accepts who is waiting to be before it stops listening."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready: Final = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        _listen_no_more(sockets or ())
        await asyncio.sleep(_ACCEPTING)
        await super().shutdown(sockets)


class _Workers(Multiprocess):
    """Workers that report when all of them answer, and accept who is waiting to be before they stop listening."""

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket], ready: Callable[[], None]) -> None:
        super().__init__(config, sockets)
        self._ready: Final = ready

    @property
    def failed(self) -> bool:
        """Whether a worker could not start, which ends all of them."""
        return any(process.exitcode == STARTUP_FAILURE for process in self.processes)

    def init_processes(self) -> None:
        """Start the workers, and wait until each serves or has ended: the watch over them would wait for its sign."""
        super().init_processes()
        waiting = list(self.processes)
        while waiting and not self.should_exit.is_set():
            self.handle_signals()
            waiting = [item for item in waiting if item.process.is_alive() and not item.is_ready(timeout=_SIGN)]
            time.sleep(_ACCEPTING)
        if all(process.process.is_alive() for process in self.processes) and not self.should_exit.is_set():
            self._ready()

    def keep_subprocess_alive(self) -> None:
        """Replace workers that have died, and log which."""
        before = list(self.processes)
        super().keep_subprocess_alive()
        for old, new in zip(before, self.processes, strict=False):
            if old is not new:
                _LOG.warning("worker %s died (exit code %s); %s takes its place", old.pid, old.exitcode, new.pid)

    def terminate_all(self) -> None:
        _listen_no_more(self.sockets)
        time.sleep(_ACCEPTING)
        for listening in self.sockets:  # those of the workers are left, and end with them
            listening.close()
        super().terminate_all()


def _listen_no_more(sockets: Iterable[socket.socket]) -> None:
    """Let nobody else join the queue of those who wait to be accepted: who is in it when a socket closes is cut off."""
    for listening in sockets:
        listening.listen(0)


def _ended(*_: object) -> None:
    """Let a signal pass that uvicorn has heeded."""
