"""The pages of docs/ that are made from the program, so that they cannot say anything else.

``python -m costlens_policy.cli.reference docs`` writes them: the commands, the exit codes, every key of every kind of
document, what expressions may read, and the Python API.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import click

from costlens_policy.checker.attributes import (
    ASKED_MODEL,
    BUDGET,
    ESTIMATE,
    ROOT_TYPES,
    STANDARD_ATTRIBUTES,
    model_record,
    request_record,
)
from costlens_policy.cli.api_reference import api_page
from costlens_policy.cli.app import app
from costlens_policy.cli.command import PROGRAM, Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.options import LateOption
from costlens_policy.cli.output import write_file
from costlens_policy.documents import KINDS
from costlens_policy.expressions import Record
from costlens_policy.expressions.functions.costs import Sizes
from costlens_policy.schema import file_name, json_schema

__all__ = [
    "attribute_reference", "command_reference", "commands", "document_reference", "example_of", "exit_code_reference",
    "language_pages",
]  # fmt: skip

_MADE = "<!-- Made by `make docs` from the program; edit the commands instead. -->"
_MADE_OF_TYPES: Final = "<!-- Made by `make docs` from the program; edit the types of the documents instead. -->"


def commands() -> Iterator[tuple[str, Command]]:
    """Iterate over every command that does something, with its name as it is typed."""
    yield from _below(app, "")


def _below(group: click.Group, before: str) -> Iterator[tuple[str, Command]]:
    context = click.Context(group, info_name=PROGRAM)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from _below(command, f"{before}{name} ")
        elif isinstance(command, Command):
            yield f"{before}{name}", command


def command_reference() -> str:
    """Return docs/cli.md."""
    parts = [f"# The command `{PROGRAM}`\n\n{_MADE}\n", _paragraphs(app.help)]
    parts.append("| command | what it does |\n|---|---|")
    parts.extend(
        f"| [`{name}`](#{name.replace(' ', '-')}) | {item.get_short_help_str(200)} |" for name, item in commands()
    )
    parts.append(_EVERY_COMMAND)
    parts.extend(_section(name, command) for name, command in commands())
    return "\n".join(parts) + "\n"


def exit_code_reference() -> str:
    """Return docs/exit-codes.md."""
    rows = [f"| {int(code)} | {code.meaning} | {_who_exits(code)} |" for code in ExitCode]
    return "\n".join([f"# Exit codes\n\n{_MADE}\n", "| code | meaning | from |", "|---|---|---|", *rows, _WHICH_CODE])


def _section(name: str, command: Command) -> str:
    arguments = " ".join(str(item.metavar) for item in command.params if isinstance(item, click.Argument))
    lines = [f"\n## {name}\n", _paragraphs(command.help), "```text", f"{PROGRAM} {name} [OPTIONS] {arguments}".rstrip()]
    options = list(_options(command))
    lines += ["```\n", *(["| option | meaning |", "|---|---|", *options, ""] if options else [])]
    lines += ["```console", *_examples(name, command), "```\n"]
    lines.append(f"[Exit codes](exit-codes.md): {', '.join(str(int(code)) for code in command.exits)}.")
    return "\n".join(lines)


def _options(command: Command) -> Iterator[str]:
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and option.expose_value:
            if isinstance(option, LateOption):
                option.resolve()
            takes = "" if option.is_flag else f" {option.metavar}"
            default = f" Default: `{option.default}`." if option.show_default else ""
            words = " ".join((option.help or "").split()).replace("|", "\\|")
            yield f"| `{', '.join(option.opts)}{takes}` | {words}{default} |"


def _examples(name: str, command: Command) -> Iterator[str]:
    for does, line in command.examples:
        yield f"# {does}"
        yield f"$ {PROGRAM} {line}"


def _paragraphs(text: str | None) -> str:
    paragraphs = inspect.cleandoc(text or "").replace("\b\n", "").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs) + "\n"


def _who_exits(code: ExitCode) -> str:
    names = [f"`{name}`" for name, command in commands() if code in command.exits]
    every = len(names) == len(list(commands())) or code is ExitCode.INTERRUPTED
    return "every command" if every else ", ".join(names)


_EVERY_COMMAND = """
Every command takes `--help`, which shows examples, and `--debug` (or `COSTLENS_DEBUG=1`), which shows the traceback of
an unexpected error. `--version` prints the version. Results go to standard output, everything else to standard
error. Colors appear on a terminal only; `NO_COLOR=1` turns them off, `FORCE_COLOR=1` on. A file is written completely
or not at all. [Exit codes](exit-codes.md) are stable."""

_WHICH_CODE = """
A file or directory named on the command line that cannot be read gives 6; a file that can be read but is invalid gives
1. An invalid request gives 2, since nothing is wrong with the policies. If tests fail and coverage is also too low, the
code is 4.
"""

_SCALARS: Final = {"string": "text", "integer": "integer", "number": "number", "boolean": "`true` or `false`"}
_PLAIN: Final = re.compile(r"[A-Za-z_/$][\w./$-]*( [\w./$-]+)*")
_WORDS: Final = ("true", "false", "null", "yes", "no", "on", "off")
Schema = Mapping[str, Any]


def language_pages() -> dict[str, str]:
    """Return the text of every page by its file in docs/."""
    pages = {_page(kind): document_reference(kind) for kind in KINDS}
    return pages | {"attributes.md": attribute_reference()}


def document_reference(kind: str) -> str:
    """Return the page of one kind of document: a table of keys for it and for each of its sections."""
    schema = json_schema(kind)
    definitions: Mapping[str, Schema] = schema.get("$defs", {})
    others = ", ".join(f"[{other}]({_page(other)})" for other in KINDS if other != kind)
    parts = [
        f"# Reference: `kind: {kind}`\n\n{_MADE_OF_TYPES}\n",
        f"{schema['description']}\n",
        "Every key with its type, its default, and an example. A key that is not listed is an "
        f"error. Editors complete from [{file_name(kind)}](../schemas/{file_name(kind)}). Other kinds: {others}; what "
        "expressions may read: [attributes](attributes.md).\n",
        f"## {kind}\n",
        _table(schema, definitions),
    ]
    for section in sorted((item for item in definitions.values() if _is_section(item)), key=lambda item: item["title"]):
        parts += [f"## {section['title']}\n", f"{section.get('description', '')}\n", _table(section, definitions)]
    return "\n".join(parts).rstrip() + "\n"


def attribute_reference() -> str:
    """Return docs/attributes.md: the records that expressions may read."""
    standard = "\n".join(
        f"| `request.{name}` | `{item.type}` | {item.description} |" for name, item in STANDARD_ATTRIBUTES.items()
    )
    asked = request_record(STANDARD_ATTRIBUTES, Sizes()).fields[ASKED_MODEL]
    recorded = ", ".join(f"`{name}`" for name, item in STANDARD_ATTRIBUTES.items() if item.recorded)
    roots = "\n".join(f"| `{name}` | `{type_}` | {_ROOTS[name]} |" for name, type_ in ROOT_TYPES.items())
    return f"""# Reference: what expressions may read

{_MADE_OF_TYPES}

The references of [policies]({_page("Policy")}) and [policy sets]({_page("PolicySet")}) say for each key which of these
names its expression may use; [expressions](expressions.md) describes the language. `costlens-policy cel --type model`
lists the attributes of a record on the command line, with `--policy-set PATH` as that set declares them.

| name | type | what it is |
|---|---|---|
{roots}

## request

All of these are optional unless a policy set requires them under `attributes`, where it may also declare more. Read an
attribute that may be missing as `request.?team.orValue("nobody")`, or after `has(request.team) &&`.

| attribute | type | what it is |
|---|---|---|
{standard}

Callers set these. One more is derived from them:

| attribute | type | what it is |
|---|---|---|
| `request.{ASKED_MODEL}` | [`{asked.type}`](#model) | {asked.description} |

It has the attributes of [`model`](#model), and is missing if the request names no model, or one that is unknown to the
catalogue or ambiguous in it. A model may have several names, and callers may use any of them, so compare
`request.?asked_model.name.orValue("") == "gpt-5"` rather than `request.model`.

Ledgers record with each call: {recorded}.
Of the attributes that a policy set declares, they record numbers, booleans, and strings of at most 200 characters.
Reports group by any of them: `report --by tenant`.

## model

{_record(model_record(), "model")}

## estimate

{_record(ESTIMATE, "estimate")}

## budgets

`budgets["team-month"]`, or `budgets["policy/team-month"]` if several policies have a budget of that name, is the state
of one budget for the scope key of the request, before the call. Amounts are in the budget's unit.

{_record(BUDGET, 'budgets["team-month"]')}

## signals

`signals.task` is the value of the signal `task` that a [document of signals]({_page("Signals")}) declares, wherever
`request` may be read. Its type follows from its kind; one that may have no value is read as
`signals.?task.orValue("other")`, or after `has(signals.task) &&`. See [signals](signals.md).

## data

`data.teams` is the value of the [data document]({_page("Data")}) `teams` that the policy set lists, in every
expression. Its type is inferred. A literal key, as in `data.teams.research.tier`, is checked and replaced by its value
when the policies are loaded; a computed key, as in `data.teams[request.team].tier`, has the type that all values share.
See [shared tables and variables](data.md).
"""


_ROOTS: Final = {
    "request": "the request, with defaults filled in",
    "signals": "what is worked out from the texts of the request, by name",
    "model": "the candidate under consideration",
    "estimate": "the most that a call to that candidate may take",
    "budgets": "the state of each budget, by name",
    "variables": "the variables of the policy and of the policy set, each of the type of its expression",
    "now": "the time of the decision",
    "data": "the tables of the policy set, by their names",
}


def _record(record: Record, name: str) -> str:
    rows = (
        f"| `{name}.{field}` | `{item.type}` | {'yes' if item.optional else 'no'} | {item.description} |"
        for field, item in record.fields.items()
    )
    return "\n".join(["| attribute | type | may be missing | what it is |", "|---|---|---|---|", *rows])


def _page(kind: str) -> str:
    return f"reference-{file_name(kind).partition('.')[0]}.md"


def _is_section(schema: Schema) -> bool:
    return bool(schema.get("properties"))


def _table(section: Schema, definitions: Mapping[str, Schema]) -> str:
    required = section.get("required", ())
    rows = [
        "| key | type | default | meaning | example |",
        "|---|---|---|---|---|",
        *(_row(key, value, key in required, definitions) for key, value in section["properties"].items()),
    ]
    return "\n".join([*rows, *_alternatives(section)]) + "\n"


def _row(key: str, schema: Schema, required: bool, definitions: Mapping[str, Schema]) -> str:
    default = f"`{_flow(schema['default'])}`" if "default" in schema else ""
    cells = (
        f"`{key}`",
        _type(schema, definitions),
        "**required**" if required else default,
        " ".join(schema.get("description", "").split()),
        f"`{key}: {_flow(example_of(schema, definitions))}`",
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _alternatives(section: Schema) -> Iterator[str]:
    for word, how in (("oneOf", "Exactly one"), ("anyOf", "At least one")):
        keys = [branch["required"][0] for branch in section.get(word, ()) if branch.get("required")]
        if keys:
            yield f"\n{how} of {', '.join(f'`{key}`' for key in keys)}."


def _type(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """Say in words what a value must be; sections are links."""
    if "$ref" in schema:
        target = definitions[_name(schema)]
        return (
            f"[{target['title']}](#{_anchor(target['title'])})" if _is_section(target) else _type(target, definitions)
        )
    if "const" in schema:
        return f"`{_flow(schema['const'])}`"
    if "enum" in schema:
        return ", ".join(f"`{_flow(value)}`" for value in schema["enum"])
    for word in ("anyOf", "oneOf"):
        if word in schema and not _is_section(schema):
            return " or ".join(dict.fromkeys(_type(branch, definitions) for branch in schema[word]))
    return _simple(schema, definitions)


def _simple(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_type(schema['items'], definitions)}" if schema.get("items") else "list"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"map from names to {_type(inner, definitions)}" if isinstance(inner, dict) and inner else "map"
    if schema.get("format") == "cel":
        return "[expression](expressions.md)"
    if kind in ("integer", "number"):
        return _SCALARS[kind] + _bounds(schema)
    return _SCALARS.get(str(kind), "anything")


def _bounds(schema: Schema) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f" from {low} to {high}"
    if "exclusiveMinimum" in schema:
        return f" above {schema['exclusiveMinimum']}"
    return f" from {low}" if low is not None else f" up to {high}" if high is not None else ""


def _name(schema: Schema) -> str:
    return str(schema["$ref"]).rpartition("/")[2]


def _anchor(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


def example_of(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    """Return a value that fits: the first example of the type, else the smallest that can be made."""
    if schema.get("examples"):
        return schema["examples"][0]
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        others = [value for value in schema["enum"] if value != schema.get("default")]
        return (others or schema["enum"])[0]
    if "$ref" in schema:
        return example_of(definitions[_name(schema)], definitions)
    if _is_section(schema):
        return _example_of_section(schema, definitions)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return example_of(schema[word][0], definitions)
    return _example_of_type(schema, definitions)


def _example_of_section(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    keys = list(schema.get("required", ()))
    keys += [branch["required"][0] for word in ("oneOf", "anyOf") for branch in schema.get(word, ())[:1]]
    keys = keys or list(schema["properties"])[:1]
    return {key: example_of(schema["properties"][key], definitions) for key in keys}


def _example_of_type(schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    kind = schema.get("type")
    if kind == "array":
        return [example_of(schema.get("items", {}), definitions)] * schema.get("minItems", 1)
    if kind == "object":
        names = schema.get("propertyNames", {})
        inner = schema.get("additionalProperties")
        inside = inner if isinstance(inner, dict) else {}
        return {example_of({"type": "string", **names}, definitions): example_of(inside, definitions)}
    if kind in ("integer", "number"):
        return _number(schema)
    if kind == "boolean":
        return not schema.get("default", False)
    return _text(schema)


def _number(schema: Schema) -> Any:
    low, high = schema.get("minimum", schema.get("exclusiveMinimum", 0)), schema.get("maximum")
    if high is not None and high <= 1:
        return 0.5
    return max(low, 100) if high is None or high >= 100 else high


def _text(schema: Schema) -> str:
    if schema.get("format") == "cel":
        return 'request.team == "research"'
    return {"date-time": "2026-11-01T12:00:00Z", "date": "2026-11-01"}.get(schema.get("format", ""), "text")


def _flow(value: Any) -> str:
    """Return a value as YAML writes it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_flow(key)}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) and value not in _WORDS else _quoted(value)
    return json.dumps(value)


def _quoted(value: str) -> str:
    return f"'{value}'" if '"' in value and "'" not in value and "\n" not in value else json.dumps(value)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "docs")
    write_file(folder / "cli.md", command_reference().encode())
    write_file(folder / "exit-codes.md", exit_code_reference().encode())
    write_file(folder / "api.md", api_page().encode())
    for name, text in language_pages().items():
        write_file(folder / name, text.encode())
