"""``sign``: put a signature into a bundle."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import note, write_file

__all__ = ["command"]


@click.command(
    "sign",
    cls=Command,
    short_help="Sign a bundle, as a revision.",
    examples=[
        ("sign revision 42 of the policies", "sign policies.bundle --key release.key --revision 42"),
    ],
    exits=[ExitCode.INVALID],
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--key", required=True, metavar="KEY", type=click.Path(path_type=Path), help="The private key, in PEM.")
@click.option(
    "--revision",
    metavar="N",
    required=True,
    type=click.IntRange(min=1),
    help="A number that grows with each bundle, such as that of the CI run. Services refuse lower ones.",
)
@click.option(
    "--write", "target", metavar="FILE", type=click.Path(path_type=Path), help="Write to FILE; defaults to the bundle."
)
def command(path: Path, key: Path, revision: int, target: Path | None) -> ExitCode:
    """Sign the bundle FILE with an Ed25519 key, in place of any signature that it has.

    The policies are compiled anew, and the bundle's plan must be the same: whoever signs vouches for both.
    """
    from costlens_policy.bundles import SigningKey, open_bundle, sign
    from costlens_policy.bundles.signing import MAX_REVISION

    if revision > MAX_REVISION:
        raise click.UsageError(f"`--revision` must be a number from 1 to {MAX_REVISION}, got `{revision}`")
    signed = sign(open_bundle(path), SigningKey.read(key), revision)
    write_file(target or path, signed.packed)
    note(f"signed `{target or path}` as revision {revision}")
    return ExitCode.OK
