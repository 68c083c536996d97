"""Requests: one from YAML or JSON with its places, or JSON lines by the thousand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from costlens_policy.cli.inputs import Input, read_input
from costlens_policy.cli.rejected import RejectedError, bad_request
from costlens_policy.cli.strict_json import read_json
from costlens_policy.diagnostics.model import Diagnostic
from costlens_policy.errors import RequestError
from costlens_policy.source.read import MAX_BYTES

__all__ = ["RequestLine", "is_json_lines", "read_request", "request_lines", "request_problems"]

_UNKNOWN: Final = "unknown attribute "
_NAMED: Final = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class RequestLine:
    """One line of a file. ``content`` is a request, or there is a ``problem``."""

    number: int
    content: dict[str, Any]
    problem: str = ""


def is_json_lines(path: str) -> bool:
    """Say whether a file holds one request per line, by its name."""
    return Path(path).suffix.lower() in (".jsonl", ".ndjson")


def read_request(path: str) -> Input:
    """Read one request; ``-`` is standard input. Raises ``RejectedError`` with the places of what is wrong."""
    given = read_input(path, "request")
    if not isinstance(given.content, dict):
        problem = bad_request(
            _not_an_object(given.content), given.place(()), "write attributes such as `task: summarization`"
        )
        raise RejectedError([problem], (given.source,))
    return given


def request_problems(given: Input, error: RequestError) -> RejectedError:
    """Give each problem that the engine found with a request its place."""
    return RejectedError([_placed(given, problem) for problem in error.problems], (given.source,))


def request_lines(stream: BinaryIO) -> Iterator[RequestLine]:
    """Read JSON lines one by one, never more than one in memory. Empty lines are passed over."""
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        if len(line) > MAX_BYTES:
            yield RequestLine(
                number, {}, f"the line is longer than {MAX_BYTES // 1024**2} MiB; nothing after it was read"
            )
            return
        if line.strip():
            yield _request_line(line, number)


def _request_line(line: bytes, number: int) -> RequestLine:
    try:
        content = read_json(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return RequestLine(number, {}, f"byte 0x{line[error.start]:02X} is not valid UTF-8")
    except ValueError as error:
        return RequestLine(number, {}, str(error))
    if not isinstance(content, dict):
        return RequestLine(number, {}, _not_an_object(content))
    return RequestLine(number, content)


def _placed(given: Input, problem: str) -> Diagnostic:
    message, _, help = problem.partition("; ")
    named = _NAMED.search(message)
    path = (named.group(1),) if named else ()
    place = given.key_place(path) if message.startswith(_UNKNOWN) else given.place(path)
    return bad_request(message, place, help)


def _not_an_object(value: Any) -> str:
    names: dict[type, str] = {str: "a string", bool: "a boolean", list: "a list", type(None): "null"}
    kind = "an object" if isinstance(value, Mapping) else names.get(type(value), "a number")
    return f"a request is an object with attributes, not {kind}"
