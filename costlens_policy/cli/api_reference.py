"""docs/api.md: what may be imported from where, made from the docstrings, and the same as lines for a snapshot.

What is public is in the ``__all__`` of a module of ``PUBLIC_MODULES``. Everything else is internal, wherever it stands,
and changes without notice.
"""

from __future__ import annotations

import enum
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import is_dataclass
from functools import cache, cached_property
from importlib import import_module
from types import MemberDescriptorType
from typing import Any, Final

__all__ = ["PUBLIC_MODULES", "api_page", "public_signatures"]

PUBLIC_MODULES: Final = (
    "costlens_policy",
    "costlens_policy.guard",
    "costlens_policy.integrations",
    "costlens_policy.live",
    "costlens_policy.bundles",
    "costlens_policy.client",
    "costlens_policy.client.wire",
    "costlens_policy.decision_log",
    "costlens_policy.ledger",
    "costlens_policy.testing",
    "costlens_policy.proof",
    "costlens_policy.replay",
    "costlens_policy.report",
    "costlens_policy.invoice",
)

_HEAD: Final = """# The Python API

<!-- Made by `make docs` from the docstrings; edit them instead. -->

The public API is what this page lists; import each name from the module under whose heading it stands. Everything else
is internal: it may move, change or disappear in any release. Public names follow the version policy in
[CONTRIBUTING.md](../CONTRIBUTING.md). Every error that is raised on purpose is a `CostlensPolicyError`, and can be
imported from `costlens_policy`; wrong arguments raise Python's own `TypeError` and `ValueError`. Everything is typed
(`py.typed`) and imported on demand: `import costlens_policy` loads no other package. A custom ledger is tested with
`costlens_policy.ledger.laws`; see [the ledger](ledger.md).
"""


def api_page() -> str:
    """Return docs/api.md."""
    return "\n".join([_HEAD, *(_module(name) for name in PUBLIC_MODULES)])


def public_signatures() -> str:
    """Return each public name with its signature or value, and each public member of a class, a line for each."""
    return "".join(f"{line}\n" for module in PUBLIC_MODULES for line in _lines(module))


def _lines(module: str) -> Iterator[str]:
    for name, value in _names(module):
        yield f"{module}.{name}{_call(value)}"
        if inspect.isclass(value):
            yield from (f"{module}.{name}.{member}{shape}" for member, shape, _ in _members(value))


def _module(module: str) -> str:
    parts = [f"## {module}\n", _text(import_module(module)), ""]
    for name, value in _names(module):
        parts += [f"### {name}\n", f"`{name}{_call(value)}`\n" if _call(value) else "", _text(value), ""]
        if inspect.isclass(value):
            parts += [f"- `{member}{shape}`{_brief(text)}" for member, shape, text in _members(value)]
            parts.append("")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts))


def _names(module: str) -> Iterator[tuple[str, Any]]:
    """Yield what a module offers: functions and classes, errors after them."""
    found = import_module(module)
    named = [(name, getattr(found, name)) for name in found.__all__]
    yield from (item for item in named if not _is_error(item[1]))
    yield from (item for item in named if _is_error(item[1]))


def _is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


def _call(value: Any) -> str:
    """Return how a function or class is called; empty for a class that callers are given and do not make."""
    if inspect.isclass(value):
        if getattr(value, "_is_protocol", False) or issubclass(value, enum.Enum) or not _has_own_init(value):
            return ""
        signature = _spelled(inspect.signature(value), value)
        internal = any(item.annotation in _internal() for item in signature.parameters.values())
        return "" if internal else _shown(signature.replace(return_annotation=inspect.Signature.empty))
    return _signature(value) if inspect.isfunction(value) else ""


def _spelled(signature: inspect.Signature, value: type) -> inspect.Signature:
    """Return a signature with its annotations as they are written, also that of a named tuple or a struct."""
    fields = getattr(value, "__struct_fields__", ())
    written = {name: text for owner in reversed(value.__mro__) for name, text in _annotations(owner) if name in fields}
    given = [
        item.replace(annotation=written.get(name) or getattr(item.annotation, "__forward_arg__", item.annotation))
        for name, item in signature.parameters.items()
    ]
    return signature.replace(parameters=given)


def _annotations(value: type) -> Iterator[tuple[str, Any]]:
    for name, text in vars(value).get("__annotations__", {}).items():
        yield name, text.replace('"', "") if isinstance(text, str) else text


def _has_own_init(value: type) -> bool:
    return (
        hasattr(value, "_fields")
        or hasattr(value, "__struct_fields__")
        or any("__init__" in vars(owner) for owner in value.__mro__ if owner.__module__.startswith("costlens_policy"))
    )


@cache
def _internal() -> frozenset[str]:
    """Return the names of our classes that are not public, as annotations have them."""
    public = {name for module in PUBLIC_MODULES for name, _ in _names(module)}
    classes = {
        name
        for module in list(sys.modules.values())
        if module.__name__.startswith("costlens_policy.")
        for name, value in vars(module).items()
        if inspect.isclass(value) and value.__module__.startswith("costlens_policy.")
    }
    return frozenset(classes - public)


def _signature(value: Callable[..., Any]) -> str:
    return _shown(inspect.signature(value))


def _shown(signature: inspect.Signature) -> str:
    """Return a signature without ``self``, and with defaults as they are written."""
    given = [item.replace(default=_Written(item.default)) if item.default is not item.empty else item
             for name, item in signature.parameters.items() if name not in {"self", "cls"}]  # fmt: skip
    return str(signature.replace(parameters=given)).replace("'", "")


class _Written:
    """A default whose ``repr`` is what stands in the source, or stands for it."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __repr__(self) -> str:
        if inspect.isroutine(self._value):
            return self._value.__name__
        if isinstance(self._value, str):
            return f'"{self._value}"'
        return "…" if "<" in repr(self._value) else repr(self._value)


def _members(value: type) -> Iterator[tuple[str, str, str]]:
    """Yield the public members of a class that it or a base of ours defines: name, shape, docstring."""
    fields = set(value.__dataclass_fields__) if is_dataclass(value) else set()
    seen: set[str] = set()
    for owner in value.__mro__:
        if not owner.__module__.startswith("costlens_policy"):
            continue
        for name, member in vars(owner).items():
            if not (name.startswith("_") or name in seen or name in fields or isinstance(member, MemberDescriptorType)):
                seen.add(name)
                yield from _member(name, member)


def _member(name: str, member: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(member, property | cached_property):
        function = member.fget if isinstance(member, property) else member.func
        returns = inspect.signature(function).return_annotation if function else ""
        yield name, f": {returns}", inspect.getdoc(member) or ""
    elif isinstance(member, enum.Enum):
        yield name, f" = {member.value!r}", ""
    elif isinstance(member, staticmethod | classmethod):
        yield name, _signature(member.__func__), inspect.getdoc(member.__func__) or ""
    elif inspect.isfunction(member):
        yield name, _signature(member), inspect.getdoc(member) or ""


def _text(value: Any) -> str:
    """Return a docstring as Markdown: code that stands at its end or between paragraphs is fenced."""
    text = inspect.getdoc(value) or ""
    if not isinstance(value, type) and not inspect.ismodule(value) and not inspect.isroutine(value):
        return f"The value is `{value!r}`." if isinstance(value, int | str) else ""
    if text.startswith(getattr(value, "__name__", "") + "("):  # made by dataclass from the fields
        return ""
    return _fenced(text.replace("``", "`"))


def _fenced(text: str) -> str:
    """Put paragraphs that are code, from the first to the last of a docstring, into a fence."""
    paragraphs = text.split("\n\n")
    code = [index for index, paragraph in enumerate(paragraphs) if _CODE.search(paragraph)]
    if not code:
        return text
    first, last = code[0], code[-1] + 1
    fence = "```python\n" + "\n\n".join(paragraphs[first:last]) + "\n```"
    return "\n\n".join([*paragraphs[:first], fence, *paragraphs[last:]])


_CODE: Final = re.compile(r"^(from \w|import \w|with \w|\w+ = |\w+(\.\w+)+, )", re.MULTILINE)


def _brief(text: str) -> str:
    """Return the first paragraph of a docstring after a colon, or nothing."""
    first = " ".join(text.split("\n\n", 1)[0].split()).replace("``", "`")
    return f": {first}" if first else ""
