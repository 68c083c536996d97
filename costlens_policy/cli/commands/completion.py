"""``completion``: print the script that lets a shell complete the command line."""

from __future__ import annotations

import click

from costlens_policy.cli.command import COMPLETE_VARIABLE, PROGRAM, Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import write_out

__all__ = ["command"]


@click.command(
    "completion",
    cls=Command,
    short_help="Print the completion script of a shell.",
    examples=[
        ("bash: complete in new shells", "completion bash >> ~/.bashrc"),
        ("zsh: the same", "completion zsh >> ~/.zshrc"),
        ("fish: the same", "completion fish > ~/.config/fish/completions/costlens-policy.fish"),
    ],
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> ExitCode:
    """Print the script that makes SHELL (`bash`, `zsh` or `fish`) complete commands, options and codes."""
    from click.shell_completion import get_completion_class

    completion = get_completion_class(shell)
    assert completion is not None
    # bash's class asks the installed bash for its version; the script is the same for every one that is recent enough
    write_out(
        completion.source_template
        % completion(click.get_current_context().find_root().command, {}, PROGRAM, COMPLETE_VARIABLE).source_vars()
    )
    return ExitCode.OK
