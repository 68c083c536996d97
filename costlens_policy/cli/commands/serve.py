"""``serve``: decisions, reservations and charges over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import Number, gathered
from costlens_policy.cli.output import note
from costlens_policy.clock import duration_of
from costlens_policy.diagnostics.text import printable
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

if TYPE_CHECKING:
    from datetime import timedelta

    from costlens_policy.service.settings import Address, Limits, Tls, UnixPath

__all__ = ["command"]

_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_OPEN: Final = ("health", "metrics", "openapi", "everything")


class _Length(click.ParamType):  # type: ignore[type-arg]  # older releases of click have no argument here
    """A length of time, such as 10m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        try:
            return duration_of(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@frozen
class _Options:
    ledger: str
    keys: Path | None
    listen: tuple[str, ...]
    beyond_loopback: bool
    without_key: tuple[str, ...]
    workers: int
    lease: timedelta
    reload_every: timedelta
    max_body: int
    time_limit: timedelta
    at_once: int
    shutdown: timedelta
    certificate: Path | None
    private_key: Path | None
    client_ca: Path | None
    decision_log: Path | None
    log_sample: float
    signals: tuple[str, ...]
    trust_signals: bool
    no_cache: bool


@click.command(
    "serve",
    cls=Command,
    short_help="Decide, reserve and settle over HTTP.",
    examples=[
        ("serve the policies of this folder, for the keys in keys.json", "serve . --ledger sqlite:///spend.db"),
        ("on a Unix socket, with four workers", "serve . --listen unix:costlens.sock --ledger redis:// --workers 4"),
        ("to look around on this machine", "serve . --without-key everything"),
        ("with a signal of your own, from moderation.py", "serve . --signal risk=moderation:risk"),
    ],
    exits=[ExitCode.INVALID, ExitCode.NOTHING],
)
@click.argument("places", metavar="[PATH | URL]...", nargs=-1)
@gathered(
    "options",
    _Options,
    (
        click.option(
            "--ledger",
            metavar="URL",
            envvar="COSTLENS_LEDGER",
            default="memory:",
            show_default=True,
            help="Where spend is kept: sqlite:///spend.db, redis://… or postgresql://…; in memory it ends with the"
            " process.",
        ),
        click.option(
            "--keys", metavar="FILE", type=_FILE, help="The file of keys. Default: keys.json, unless nothing needs one."
        ),
        click.option(
            "--listen",
            metavar="ADDRESS",
            multiple=True,
            default=("127.0.0.1:8181",),
            show_default=True,
            help="HOST:PORT or unix:PATH; may be given several times.",
        ),
        click.option("--beyond-loopback", is_flag=True, help="Let an address be one that other machines can reach."),
        click.option(
            "--without-key",
            metavar="WHAT",
            multiple=True,
            type=click.Choice(_OPEN),
            help="Answer `health`, `metrics`, `openapi` or `everything` without a key; may be given several times.",
        ),
        click.option(
            "--workers",
            metavar="NUMBER",
            type=click.IntRange(1, 256),
            default=1,
            show_default=True,
            help="Processes that serve.",
        ),
        click.option(
            "--lease",
            metavar="TIME",
            type=_Length(),
            default="10m",
            show_default=True,
            help="How long a call stays held if nobody comes back.",
        ),
        click.option(
            "--reload-every",
            metavar="TIME",
            type=_Length(),
            default="1s",
            show_default=True,
            help="How often to look for changed policies.",
        ),
        click.option(
            "--max-body",
            metavar="BYTES",
            type=click.IntRange(1024),
            default=4 * 1024**2,
            show_default=True,
            help="Bytes of a request's body.",
        ),
        click.option(
            "--time-limit",
            metavar="TIME",
            type=_Length(),
            default="10s",
            show_default=True,
            help="How long a request may take.",
        ),
        click.option(
            "--at-once",
            metavar="NUMBER",
            type=click.IntRange(1),
            default=512,
            show_default=True,
            help="Requests that a worker has under way; further ones are turned away with 503.",
        ),
        click.option(
            "--shutdown",
            metavar="TIME",
            type=_Length(),
            default="30s",
            show_default=True,
            help="How long requests may take to end after SIGTERM.",
        ),
        click.option(
            "--tls-certificate",
            "certificate",
            metavar="FILE",
            type=_FILE,
            help="Speak TLS with this certificate (PEM).",
        ),
        click.option(
            "--tls-key", "private_key", metavar="FILE", type=_FILE, help="The certificate's private key (PEM)."
        ),
        click.option(
            "--tls-client-ca",
            "client_ca",
            metavar="FILE",
            type=_FILE,
            help="Demand certificates of clients, signed by this one.",
        ),
        click.option(
            "--decision-log",
            metavar="FILE",
            type=_FILE,
            help="Write each decision and charge to FILE, texts masked; see docs/decision-log.md.",
        ),
        click.option(
            "--log-sample",
            metavar="SHARE",
            type=Number(0, 1),
            default=1.0,
            show_default=True,
            help="Share of allowed decisions that the log keeps; denials are always kept.",
        ),
        click.option(
            "--signal",
            "signals",
            metavar="NAME=MODULE:FUNCTION",
            multiple=True,
            help="Ask a Python function for an external signal; may be given several times.",
        ),
        click.option(
            "--trust-signals", is_flag=True, help="Take values of `signals` from callers; otherwise they are refused."
        ),
        click.option("--no-cache", is_flag=True, help="Read the policies even if their plan is cached."),
    ),
)
def command(places: tuple[str, ...], options: _Options) -> ExitCode:
    """Serve policies over HTTP: decisions, reservations, charges.

    The policies are those in files and folders, or in one bundle at a path or URL.

    A request needs a key, which `keys add` makes. SIGTERM ends the service once what is under way is answered. See
    docs/service.md; the extra `serve` has to be installed.
    """
    try:
        from costlens_policy.service.run import serve
    except ModuleNotFoundError as error:
        raise InputError(
            f"`serve` needs the package `{error.name}`; install the extra: pip install 'costlens-policy[serve]'"
        ) from error
    from costlens_policy.service.settings import Open, Settings, address_of
    from costlens_policy.service.signal_sources import SourceName

    _log_to_standard_error()
    open = frozenset(map(Open, options.without_key))
    settings = Settings(
        places or (".",),
        options.ledger,
        _keys(options),
        open,
        _limits(options),
        options.lease,
        not options.no_cache,
        options.reload_every.total_seconds(),
        options.decision_log,
        options.log_sample,
        options.trust_signals,
        tuple(map(SourceName.parse, options.signals)),
    )
    served = serve(
        settings,
        [address_of(text) for text in options.listen],
        workers=options.workers,
        tls=_tls(options),
        beyond_loopback=options.beyond_loopback,
        ready=_announce,
    )
    return ExitCode.OK if served else ExitCode.FAILURE


def _log_to_standard_error() -> None:
    """Log warnings. An id or a name that a caller chose cannot end a line, or command a terminal."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])


class _Lines(logging.Formatter):
    """One line for each record, and its traceback below, where there is one."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (its name in the library)
        return printable(super().formatMessage(record))


def _keys(options: _Options) -> Path | None:
    """Return the file of keys; none is needed where everything is open."""
    if "everything" in options.without_key and options.keys is None:
        return None
    return options.keys or Path("keys.json")


def _limits(options: _Options) -> Limits:
    from costlens_policy.service.settings import Limits

    if not options.time_limit or not options.reload_every:
        raise click.UsageError("`--time-limit` and `--reload-every` must be longer than nothing")
    return Limits(
        options.max_body,
        options.time_limit.total_seconds(),
        options.at_once,
        max(1, round(options.shutdown.total_seconds())),
    )


def _tls(options: _Options) -> Tls | None:
    from costlens_policy.service.settings import Tls

    if options.certificate is None and options.private_key is None and options.client_ca is None:
        return None
    if options.certificate is None or options.private_key is None:
        raise click.UsageError("TLS needs both `--tls-certificate` and `--tls-key`")
    return Tls(options.certificate, options.private_key, None, options.client_ca)


def _announce(addresses: Sequence[Address | UnixPath]) -> None:
    for address in addresses:
        note(f"listening on {address}")
