"""``schema``: the JSON Schemas of the documents."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import Suggesting
from costlens_policy.cli.output import note, write_file, write_out

__all__ = ["command", "schema_names"]


@click.command(
    "schema",
    cls=Command,
    short_help="Print or write JSON Schemas, which editors use for completion.",
    examples=[
        ("print the schema of policies", "schema policy"),
        ("write all of them, for yaml-language-server", "schema --write schemas"),
        ("list them", "schema"),
    ],
)
@click.argument(
    "kind",
    metavar="[KIND]",
    required=False,
    type=Suggesting("schema", "costlens_policy.cli.commands.schema:schema_names"),
)
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write to this directory instead of printing; with KIND, only that one.",
)
def command(kind: str | None, folder: Path | None) -> ExitCode:
    """Print the JSON Schema of KIND (such as `policy` or `suite`), or write all of them with `--write`.

    Without KIND and `--write`, list the kinds.
    """
    texts = _schema_files(kind)
    if folder is not None:
        for name, text in texts.items():
            write_file(folder / name, text.encode())
        note(f"wrote {len(texts)} schemas into `{folder}`")
    elif kind is not None:
        write_out("".join(texts.values()))
    else:
        write_out("\n".join(schema_names()))
    return ExitCode.OK


def schema_names() -> tuple[str, ...]:
    """Return the words that name a schema, such as ``policy-set``."""
    from costlens_policy.schema import schema_texts

    return tuple(name.partition(".")[0] for name in schema_texts())


def _schema_files(kind: str | None) -> dict[str, str]:
    """Return the text of one schema, or of all, by file name."""
    from costlens_policy.schema import schema_texts

    return {name: text for name, text in schema_texts().items() if kind in (None, name.partition(".")[0])}
