"""The pages of docs/codes, which are installed with the package."""

from __future__ import annotations

import json
from difflib import get_close_matches
from importlib.resources import files

import click

from costlens_policy.diagnostics.codes import CODES, Code
from costlens_policy.errors import InputError

__all__ = ["code_list", "code_page"]


def code_list(output: str) -> str:
    """Return every code with its name and title, as ``text`` or ``json``."""
    if output == "json":
        return json.dumps([_facts(code) for code in CODES.values()], indent=2)
    width = max(len(code.name) for code in CODES.values())
    return "\n".join(f"{code.id}  {code.name:{width}}  {code.title}" for code in CODES.values())


def code_page(word: str, output: str) -> str:
    """Return the page of a code, as ``text`` (Markdown) or ``json``. Raises ``UsageError`` for what is not a code."""
    code = _find(word)
    text = _read(code)
    return json.dumps({**_facts(code), "page": text}, indent=2, ensure_ascii=False) if output == "json" else text


def _find(word: str) -> Code:
    by_name = {code.name: code for code in CODES.values()}
    found = CODES.get(word.upper()) or by_name.get(word.lower())
    if found is not None:
        return found
    close = get_close_matches(word.lower(), [*by_name, *(item.lower() for item in CODES)], n=1)
    hint = f"; did you mean `{close[0].upper() if close[0] not in by_name else close[0]}`?" if close else ""
    raise click.UsageError(f"no such code `{word}`{hint}", click.get_current_context(silent=True))


def _read(code: Code) -> str:
    page = files("costlens_policy.cli").joinpath("code_pages", f"{code.id}.md")
    try:
        return page.read_text(encoding="utf-8")
    except OSError:
        raise InputError(f"the page of {code.id} is not installed; read docs/codes/{code.id}.md") from None


def _facts(code: Code) -> dict[str, str]:
    return {"code": code.id, "name": code.name, "title": code.title}
