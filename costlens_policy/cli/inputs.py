"""Data that is given on the command line beside the policies: requests, balances and mappings, as YAML or JSON.

JSON is read as RFC 8259 has it, without the liberties of Python: no NaN, no repeated key, no unpaired surrogate.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, Final

from costlens_policy.cli.exit_codes import RejectedError
from costlens_policy.cli.output import standard_input
from costlens_policy.compiler.plan import Plan
from costlens_policy.compiler.rules import key_problem
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity, Span
from costlens_policy.diagnostics.suggestion import did_you_mean, listed
from costlens_policy.engine.context import Balances
from costlens_policy.engine.states import balance_of
from costlens_policy.errors import RequestError
from costlens_policy.frozen import frozen
from costlens_policy.money import usd
from costlens_policy.source.located import LocatedValue, SourceText
from costlens_policy.source.located import Path as Place
from costlens_policy.source.read import MAX_BYTES, read_source, read_stdin

__all__ = [
    "MAX_DEPTH", "Input", "RequestLine", "bad_balances", "bad_request", "is_json_lines",
    "read_balances", "read_input", "read_json", "read_request", "request_lines", "request_problems",
]  # fmt: skip

_REQUEST: Final = "CL921"
_BALANCES: Final = "CL922"
_UNKNOWN: Final = "unknown attribute "
_NAMED: Final = re.compile(r"`([^`]+)`")
_KEYS: Final = (
    "budget", "key", "used", "held", "override", "topup", "started_at", "earlier", "set_aside", "reserved", "recent",
    "approvals",
)  # fmt: skip
_AMOUNTS: Final = ("used", "held", "override", "topup", "set_aside", "reserved")


def bad_request(message: str, span: Span | None, help: str = "") -> Diagnostic:
    """Return the problem of a request that cannot be decided."""
    return Diagnostic(_REQUEST, Severity.ERROR, message, span, help=help)


def bad_balances(message: str, span: Span | None, help: str = "") -> Diagnostic:
    """Return the problem of balances that cannot be used."""
    return Diagnostic(_BALANCES, Severity.ERROR, message, span, help=help)


@frozen
class Input:
    """One value as plain data. ``root`` gives what knows its places; JSON that YAML cannot express has none."""

    source: SourceText
    content: Any
    root: Callable[[], LocatedValue | None]

    def place(self, path: Place) -> Span | None:
        """Return where the value at a path stands, or the nearest value around it."""
        root = self.root()
        return None if root is None else root.span_of(path)

    def key_place(self, path: Place) -> Span | None:
        """Return where the key of a value stands."""
        root = self.root()
        return None if root is None else root.key_span(path) or root.span_of(path)


def read_input(path: str, what: str) -> Input:
    """Read one value; ``-`` is standard input, ``what`` names it to the user. Raises ``RejectedError``."""
    try:
        source = read_stdin(standard_input()) if path == "-" else read_source(path)
    except PolicyError as error:
        raise RejectedError(error.diagnostics) from error
    return _json(source) or _yaml(source, what)


def _json(source: SourceText) -> Input | None:
    """Return a value of JSON, None for what is none. The parser of YAML is imported for its places, if at all."""
    if source.text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        content = read_json(source.text)
    except ValueError:
        return None  # the problems that the YAML reader sees have places
    return Input(source, content, cache(lambda: _root(source)))


def _root(source: SourceText) -> LocatedValue | None:
    from costlens_policy.source.compose import compose

    composed = compose(source)
    return None if any(item.is_error for item in composed.diagnostics) else composed.documents[0].root


def _yaml(source: SourceText, what: str) -> Input:
    from costlens_policy.source.compose import compose

    composed = compose(source)
    if errors := [item for item in composed.diagnostics if item.is_error]:
        raise RejectedError(errors, (source,))
    if len(composed.documents) > 1:
        problem = bad_request(
            f"a file must hold one {what}, got several", composed.documents[1].root.span, "use one file for each"
        )
        raise RejectedError([problem], (source,))
    root = composed.documents[0].root
    return Input(source, root.to_plain(), lambda: root)


@frozen
class RequestLine:
    """One line of a file. ``content`` is a request, or there is a ``problem``."""

    number: int
    content: dict[str, Any]
    problem: str = ""


def is_json_lines(path: str) -> bool:
    """Return whether a file holds one request per line, by its name."""
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
    """Give each problem that the engine found in a request its place."""
    return RejectedError([_placed(given, problem) for problem in error.problems], (given.source,))


def request_lines(stream: BinaryIO) -> Iterator[RequestLine]:
    """Read JSON lines one by one, never more than one in memory. Empty lines are passed over."""
    number = 0
    while line := stream.readline(MAX_BYTES + 1):
        number += 1
        if len(line) > MAX_BYTES:
            yield RequestLine(number, {}, f"a line must have at most {MAX_BYTES // 1024**2} MiB; the rest was not read")
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
    return f"a request must be an object of attributes, got {kind}"


def read_balances(path: str, plan: Plan) -> Balances:
    """Read a list of objects with ``budget``, ``key`` and the amounts, recent charges and approvals of a balance.

    Raises ``RejectedError`` with every problem.
    """
    given = read_input(path, "list of balances")
    if not isinstance(given.content, list):
        problem = bad_balances(
            "balances must be a list", given.place(()), "write `- {budget: policy/budget, used: 12.50}`"
        )
        raise RejectedError([problem], (given.source,))
    problems = [item for index in range(len(given.content)) for item in _problems(given, index, plan)]
    if problems:
        raise RejectedError(problems, (given.source,))
    return {(plan.budgets[item["budget"]][1].id, item.get("key", "")): balance_of(item) for item in given.content}


def _problems(given: Input, index: int, plan: Plan) -> Iterator[Diagnostic]:
    item = given.content[index]
    if not isinstance(item, dict):
        yield bad_balances("each balance must be an object", given.place((index,)), f"its keys are {listed(_KEYS)}")
        return
    for key in item:
        if key not in _KEYS:
            yield bad_balances(f"unknown key `{key}`", given.key_place((index, key)), did_you_mean(key, _KEYS))
    budget = item.get("budget")
    if budget is None:
        yield bad_balances("a balance needs `budget`", given.place((index,)), "name the budget as `policy/budget`")
    elif budget not in plan.budgets:
        yield bad_balances(
            f"no budget `{budget}`", given.place((index, "budget")), did_you_mean(str(budget), plan.budgets)
        )
    if not isinstance(item.get("key", ""), str):
        yield bad_balances("`key` must be a string", given.place((index, "key")), "put it in quotes")
    elif problem := key_problem(item.get("key", "")):
        yield bad_balances(f"`key` {problem}", given.place((index, "key")))
    for name in _AMOUNTS:
        if not _is_amount(item.get(name, 0)):
            yield bad_balances(f"`{name}` must be a non-negative number", given.place((index, name)))
    yield from _more_problems(given, index)


def _more_problems(given: Input, index: int) -> Iterator[Diagnostic]:
    """Yield what is wrong with the keys of a balance that are no single amounts."""
    item = given.content[index]
    earlier = item.get("earlier", [])
    if not isinstance(earlier, list) or not all(map(_is_amount, earlier)):
        message = "`earlier` must be a list of non-negative numbers, the latest period first"
        yield bad_balances(message, given.place((index, "earlier")))
    if "started_at" in item and _time(item["started_at"]) is None:
        yield bad_balances("`started_at` must be a timestamp with a time zone", given.place((index, "started_at")))
    try:
        balance_of({name: item[name] for name in ("recent", "approvals") if name in item})
    except (TypeError, ValueError, KeyError, ArithmeticError, AttributeError) as error:
        advice = 'write `recent: {1h: 2.5}`, `approvals: [{threshold: "0.9", up_to: 95}]`'
        yield bad_balances(f"`recent` or `approvals` cannot be read: {error}", given.place((index,)), advice)


def _time(value: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return found if isinstance(found, datetime) and found.tzinfo is not None else None


def _is_amount(value: Any) -> bool:
    try:
        usd(value)
    except (TypeError, ValueError):
        return False
    return True


MAX_DEPTH: Final = 100
_LONGEST_NUMBER: Final = 400
_TOO_DEEP: Final = f"nested more than {MAX_DEPTH} levels deep"


def read_json(text: str) -> Any:
    """Return the value of a text; numbers with a fraction are ``Decimal``. Raises ``ValueError`` with what is wrong."""
    try:
        value = json.loads(
            text, parse_float=_fraction, parse_int=_whole, parse_constant=_refuse, object_pairs_hook=_unique
        )
    except json.JSONDecodeError as error:
        raise ValueError(f"line {error.lineno}, column {error.colno}: {error.msg.lower()}") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    _examine(value)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key `{key}` appears twice in one object")
        found[key] = value
    return found


def _refuse(word: str) -> Any:
    raise ValueError(f"`{word}` is not a JSON number")


def _fraction(digits: str) -> Decimal:
    return Decimal(_short(digits))


def _whole(digits: str) -> int:
    return int(_short(digits))


def _short(digits: str) -> str:
    if len(digits) > _LONGEST_NUMBER:
        raise ValueError(f"a number must have at most {_LONGEST_NUMBER} digits")
    return digits


def _examine(value: Any) -> None:
    """Refuse deep nesting, and text that no encoding can carry."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        if not level:
            return
        for item in level:
            if isinstance(item, str):
                _refuse_surrogates(item)
            elif isinstance(item, dict):
                for key in item:
                    _refuse_surrogates(key)
        level = [child for item in level if isinstance(item, dict | list) for child in _children(item)]
    if level:
        raise ValueError(_TOO_DEEP)


def _children(item: dict[str, Any] | list[Any]) -> list[Any]:
    return list(item.values()) if isinstance(item, dict) else item


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a string contains an unpaired surrogate") from None
