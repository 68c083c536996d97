"""``explain``: what a code means, and how to fix it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import CompletionItem

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import write_out
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.diagnostics.codes import Code

__all__ = ["command"]


def _codes(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from costlens_policy.diagnostics.codes import CODES

    return [
        CompletionItem(code.id, help=code.title) for code in CODES.values() if code.id.startswith(incomplete.upper())
    ]


@click.command(
    "explain",
    cls=Command,
    short_help="Explain a diagnostic code and how to fix it.",
    examples=[
        ("the page of a code", "explain CL008"),
        ("the same by name", "explain duplicate-key"),
        ("all codes", "explain"),
    ],
)
@click.argument("code", metavar="[CODE]", required=False, shell_complete=_codes)
@format_option("text", "json")
def command(code: str | None, output: str) -> ExitCode:
    """Print the page of CODE, an id such as `CL008` or a name such as `duplicate-key`; without one, list all codes."""
    write_out(_code_list(output) if code is None else _code_page(code, output))
    return ExitCode.OK


_WHOLE: Final = re.compile(r"CL\d{3}", re.IGNORECASE)


def _code_list(output: str) -> str:
    """Return every code with its name and title, as ``text`` or ``json``."""
    from costlens_policy.diagnostics.codes import CODES

    if output == "json":
        return json.dumps([_facts(code) for code in CODES.values()], indent=2)
    width = max(len(code.name) for code in CODES.values())
    return "\n".join(f"{code.id}  {code.name:{width}}  {code.title}" for code in CODES.values())


def _code_page(word: str, output: str) -> str:
    """Return the page of a code, as ``text`` (Markdown) or ``json``. Raises ``UsageError`` for what is not a code."""
    code = _code_of(word)
    text = _page_of(code)
    return json.dumps({**_facts(code), "page": text}, indent=2, ensure_ascii=False) if output == "json" else text


def _code_of(word: str) -> Code:
    from difflib import get_close_matches

    from costlens_policy.diagnostics.codes import CODES

    by_name = {code.name: code for code in CODES.values()}
    found = CODES.get(word.upper()) or by_name.get(word.lower())
    if found is not None:
        return found
    if _WHOLE.fullmatch(word):  # a code whose number is near has nothing to do with it
        raise click.UsageError(f"no such code `{word}`; `explain` without a code lists them all")
    close = get_close_matches(word.lower(), [*by_name, *(item.lower() for item in CODES)], n=1)
    hint = f"; did you mean `{close[0].upper() if close[0] not in by_name else close[0]}`?" if close else ""
    raise click.UsageError(f"no such code `{word}`{hint}")


def _page_of(code: Code) -> str:
    from importlib.resources import files

    page = files("costlens_policy.cli").joinpath("code_pages", f"{code.id}.md")
    try:
        return page.read_text(encoding="utf-8")
    except OSError:
        raise InputError(f"the page of {code.id} is not installed; read docs/codes/{code.id}.md") from None


def _facts(code: Code) -> dict[str, str]:
    return {"code": code.id, "name": code.name, "title": code.title}
