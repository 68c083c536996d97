"""``verify``: whether a bundle would be used."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import print_error, write_json, write_out
from costlens_policy.version import __version__

if TYPE_CHECKING:
    from costlens_policy.bundles import Bundle

__all__ = ["command"]


@click.command(
    "verify",
    cls=Command,
    short_help="Verify the signature of a bundle, and its plan.",
    examples=[
        ("verify that one of the keys in a file has signed it", "verify policies.bundle --trust release.key.pub"),
        (
            "verify that it is none that was replaced already",
            "verify policies.bundle --trust release.key.pub --state bundle-state.json",
        ),
    ],
    exits=[ExitCode.INVALID],
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--trust",
    "keys",
    metavar="FILE",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Public keys in PEM; may be repeated. Defaults to COSTLENS_POLICY_TRUSTED_KEYS.",
)
@click.option("--name", metavar="NAME", help="The policy set that the bundle must hold.")
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The file in which a service remembers the last revision; it is read, and not changed.",
)
@click.option("--allow-older", is_flag=True, help="Accept a revision that is lower than the last one.")
@format_option("text", "json")
def command(
    path: Path, keys: tuple[Path, ...], name: str | None, state: Path | None, allow_older: bool, output: str
) -> ExitCode:
    """Verify that the bundle FILE is signed with a trusted key, and that its plan is that of its policies.

    What the bundle says about its signature decides nothing. Exits with 1 if the bundle would be refused.
    """
    from costlens_policy.bundles import BundleError, Trust, open_bundle

    trust = Trust(*keys, name=name, state=state, allow_older=allow_older) if keys else Trust.of_environment()
    if trust is None:
        raise click.UsageError("name the keys to trust with `--trust`; `inspect` shows a bundle without verifying it")
    try:
        bundle = open_bundle(path)
        signature = trust.verify(bundle)
        plan = _plan_word(bundle)
    except BundleError as error:
        if output == "json":
            write_json({"accepted": False, "problem": str(error)})
        else:
            message, _, help = str(error).partition("; ")
            print_error(message, help)
        return ExitCode.INVALID
    if output == "json":
        shown = {"accepted": True, "digest": f"sha256:{bundle.digest}", "revision": signature.revision, "plan": plan}
        write_json(shown | {"policy_set": bundle.manifest.name})
    else:
        write_out(f"`{path}` is revision {signature.revision} of `{bundle.manifest.name}`, and its plan is {plan}")
    return ExitCode.OK


def _plan_word(bundle: Bundle) -> str:
    """Return whether the plan was compared with the policies. Raises ``BundleError`` where it is another one."""
    from costlens_policy.bundles.signing import check_plan

    if bundle.manifest.program != __version__:
        return f"of version {bundle.manifest.program}, so that it is compiled anew"
    check_plan(bundle, "used")
    return "that of its policies"
