"""``keys``: the API keys of the service."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from costlens_policy.cli.command import Command, Group
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import note, write_json, write_out
from costlens_policy.clock import system_now

__all__ = ["command"]

_FILE: Final = click.option(
    "--file",
    "path",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    default="keys.json",
    show_default=True,
    help="The file of keys.",
)
_NAME: Final = click.argument("name", metavar="NAME")


@click.group("keys", cls=Group, short_help="Add, list and revoke the API keys of the service.")
def command() -> None:
    """Add, list and revoke the API keys of `serve`.

    The file holds hashes, not keys: it opens nothing by itself. Services see a change within a second.
    """


@command.command(
    "add",
    cls=Command,
    short_help="Make a key and print it, once.",
    examples=[
        ("for a gateway that asks and pays", "keys add gateway --scope decide --scope settle"),
        ("for whoever reads metrics and policies", "keys add operator --scope admin --file /etc/costlens/keys.json"),
    ],
)
@_NAME
@click.option(
    "--scope",
    "scopes",
    metavar="SCOPE",
    multiple=True,
    required=True,
    type=click.Choice(["decide", "settle", "admin"]),
    help="`decide` opens decisions, `settle` reservations, charges and spend, `admin` everything; may be given several"
    " times.",
)
@_FILE
def _add(name: str, scopes: tuple[str, ...], path: Path) -> ExitCode:
    """Make a key called NAME and print it. It cannot be printed again."""
    from costlens_policy.service.keys import KeyFile, Scope

    write_out(KeyFile(path).add(name, map(Scope, scopes), system_now()))
    note(f"`{name}` is added to `{path}`; keep the key, it is not stored")
    return ExitCode.OK


@command.command("list", cls=Command, short_help="List the keys.", examples=[("as JSON", "keys list --format json")])
@_FILE
@format_option("text", "json")
def _list(path: Path, output: str) -> ExitCode:
    """List the keys by name, with their scopes."""
    from costlens_policy.service.keys import KeyFile, Scope

    rows = [
        {
            "name": key.name,
            "scopes": [scope.value for scope in Scope if scope in key.scopes],
            "created_at": key.created_at.isoformat(timespec="seconds"),
        }
        for key in KeyFile(path).read()
    ]
    if output == "json":
        write_json(rows)
        return ExitCode.OK
    for row in rows:
        write_out(f"{row['name']}  {', '.join(row['scopes'])}  since {row['created_at']}")
    return ExitCode.OK


@command.command(
    "revoke", cls=Command, short_help="Revoke a key.", examples=[("one that leaked", "keys revoke gateway")]
)
@_NAME
@_FILE
def _revoke(name: str, path: Path) -> ExitCode:
    """Take the key NAME out of the file. Services refuse it within a second."""
    from costlens_policy.service.keys import KeyFile

    KeyFile(path).revoke(name)
    note(f"`{name}` is revoked")
    return ExitCode.OK
