"""``schema``: the JSON Schemas of the documents."""

from __future__ import annotations

from pathlib import Path

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.parameters import Suggesting

__all__ = ["command"]


@click.command(
    "schema",
    cls=Command,
    short_help="Print or write the JSON Schemas that editors complete with.",
    examples=[
        ("print the schema of policies", "schema policy"),
        ("write all of them, for the yaml-language-server lines to point at", "schema --write schemas"),
        ("list them", "schema"),
    ],
)
@click.argument(
    "kind", metavar="[KIND]", required=False, type=Suggesting("schema", "costlens_policy.cli.schema_files:schema_names")
)
@click.option(
    "--write",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write into this folder instead of printing; with KIND only that one.",
)
def command(kind: str | None, folder: Path | None) -> ExitCode:
    """Print the JSON Schema of KIND (such as `policy` or `suite`), or write all of them with `--write`.

    Without KIND and `--write`, list what there is.
    """
    from costlens_policy.cli.console import note, write_out
    from costlens_policy.cli.files import write_file
    from costlens_policy.cli.schema_files import schema_files, schema_names

    texts = schema_files(kind)
    if folder is not None:
        for name, text in texts.items():
            write_file(folder / name, text.encode())
        note(f"wrote {len(texts)} schemas into `{folder}`")
    elif kind is not None:
        write_out("".join(texts.values()))
    else:
        write_out("\n".join(schema_names()))
    return ExitCode.OK
