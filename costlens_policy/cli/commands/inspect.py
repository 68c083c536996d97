"""``inspect``: what is in a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import write_json, write_out

if TYPE_CHECKING:
    from costlens_policy.bundles import Bundle

__all__ = ["command"]


@click.command(
    "inspect",
    cls=Command,
    short_help="Show what is in a bundle.",
    examples=[
        ("show the policy set, its files and its signature", "inspect policies.bundle"),
        ("print the digest for a script", "inspect policies.bundle --format json"),
        ("read the policies themselves", "inspect policies.bundle --unpack folder"),
    ],
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--unpack", "target", metavar="DIR", type=click.Path(path_type=Path), help="Write its documents to a new directory."
)
@format_option("text", "json")
def command(path: Path, target: Path | None, output: str) -> ExitCode:
    """Show the policy set, the digests, the files and the signature of the bundle FILE.

    The signature is shown as the bundle states it, not verified: `verify` does that.
    """
    from costlens_policy.bundles import open_bundle

    bundle = open_bundle(path)
    if target is not None:
        _unpack(bundle, target)
    shown = described(bundle)
    if output == "json":
        write_json(shown)
    else:
        write_out("\n".join(_lines(shown)))
    return ExitCode.OK


def described(bundle: Bundle) -> dict[str, Any]:
    """Return what a bundle says about itself, as JSON data."""
    from costlens_policy.bundles.signing import signature_of

    said, signature = bundle.manifest, signature_of(bundle)
    return {
        "policy_set": said.name,
        "version": said.version,
        "digest": f"sha256:{bundle.digest}",
        "policy_digest": said.policy_digest,
        "catalogue_digest": said.catalogue_digest,
        "built_by": said.program,
        "bytes": len(bundle.packed),
        "signed_by": None if signature is None else signature.key,
        "revision": None if signature is None else signature.revision,
        "files": {name: len(bundle.files[name]) for name in said.files},
    }


def _lines(shown: dict[str, Any]) -> list[str]:
    signed = "nobody" if shown["signed_by"] is None else f"key {shown['signed_by']} (not verified)"
    lines = [
        f"policy set  {shown['policy_set']} {shown['version']}",
        f"digest      {shown['digest']}",
        f"policies    {shown['policy_digest']}",
        f"prices      {shown['catalogue_digest']}",
        f"built by    costlens-policy {shown['built_by']}",
        f"signed by   {signed}",
        *([] if shown["revision"] is None else [f"revision    {shown['revision']}"]),
        f"files       {len(shown['files'])}, {shown['bytes']:,} bytes",
    ]
    return [*lines, *(f"  {size:>9,}  {name}" for name, size in shown["files"].items())]


def _unpack(bundle: Bundle, target: Path) -> None:
    from costlens_policy.errors import InputError

    if target.exists():
        raise InputError(f"`{target}` exists; name a new directory")
    for name, content in bundle.policies.items():
        file = target / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise InputError(f"`{file}` cannot be written: {(error.strerror or str(error)).lower()}") from error
