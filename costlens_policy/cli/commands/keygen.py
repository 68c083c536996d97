"""``keygen``: a key to sign bundles with."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import note

__all__ = ["command"]


@click.command(
    "keygen",
    cls=Command,
    short_help="Make a key to sign bundles with.",
    examples=[("write release.key, which stays secret, and release.key.pub for services", "keygen release.key")],
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
def command(path: Path) -> ExitCode:
    """Make an Ed25519 key: the private one in FILE, for its owner alone, the public one in FILE.pub.

    Neither file is overwritten. The private key has no password; keep it where secrets of CI are kept.
    """
    from costlens_policy.bundles import SigningKey

    SigningKey.generate().write(path)
    note(f"wrote `{path}` and `{path}.pub`")
    return ExitCode.OK
