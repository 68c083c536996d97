"""The file of a saved plan: a line that says what it is, one that says of what kind, and the plan itself.

The second line carries the SHA-256 of the third, so that a file that was cut off or damaged is noticed. It is no
signature: who can write the file can write the digest, too.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Severity
from costlens_policy.errors import InputError
from costlens_policy.saving.decoding import decode
from costlens_policy.saving.encoding import encode
from costlens_policy.saving.errors import ForeignPlan, NotSavable, UnusablePlan
from costlens_policy.source.read import read_bytes
from costlens_policy.version import __version__

__all__ = ["FORMAT", "PlanFile", "content_of", "parse", "read_plan", "replace_file", "write_plan"]

FORMAT: Final = 1
"""Counts up whenever files of before can no longer be read."""

_MAGIC: Final = b"costlens-policy plan\n"


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A file whose plan has not been looked at yet. ``remarks`` is what was written beside it."""

    remarks: Mapping[str, Any]
    _digest: str
    _body: bytes

    def plan(self) -> Plan:
        """Return the plan. Raises ``UnusablePlan``."""
        if sha256(self._body).hexdigest() != self._digest:
            raise UnusablePlan("it is damaged")
        try:
            found = decode(json.loads(self._body))
        except (ValueError, RecursionError):
            raise UnusablePlan("it is damaged") from None
        if not isinstance(found, Plan):
            raise UnusablePlan("it is damaged")
        return found


def write_plan(plan: Plan, path: Path) -> None:
    """Save a plan under a name. Raises ``InputError``."""
    try:
        replace_file(path, content_of(plan, {}))
    except OSError as error:
        raise InputError(f"`{path}` cannot be written: {(error.strerror or str(error)).lower()}") from error
    except NotSavable as error:
        raise InputError(f"`{path}` cannot be written: {error}") from error


def read_plan(path: Path) -> Plan:
    """Return the plan that was saved under a name. Raises ``PolicyError`` (CL001, CL024, CL025)."""
    try:
        return parse(read_bytes(path)).plan()
    except UnusablePlan as error:
        code = "CL025" if isinstance(error, ForeignPlan) else "CL024"
        advice = "save it again, with the version that loads it"
        message = f"`{path}` cannot be used: {error}"
        raise PolicyError([Diagnostic(code, Severity.ERROR, message, help=advice)]) from error


def content_of(plan: Plan, remarks: Mapping[str, Any]) -> bytes:
    """Return what to write for a plan. ``remarks`` are JSON. Raises ``NotSavable``."""
    body = json.dumps(encode(plan), separators=(",", ":")).encode("ascii")
    head = {"format": FORMAT, "version": __version__, "sha256": sha256(body).hexdigest(), "remarks": remarks}
    return b"".join((_MAGIC, json.dumps(head).encode("ascii"), b"\n", body))


def parse(content: bytes) -> PlanFile:
    """Return the file that holds ``content``. Raises ``UnusablePlan``, and ``ForeignPlan`` for another version's."""
    if not content.startswith(_MAGIC):
        raise UnusablePlan("it is no saved plan")
    head, _, body = content[len(_MAGIC) :].partition(b"\n")
    try:
        read = json.loads(head)
        format, version, digest, remarks = (read[key] for key in ("format", "version", "sha256", "remarks"))
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnusablePlan("it is damaged") from None
    if format != FORMAT or version != __version__:
        raise ForeignPlan(f"version {str(version)[:40]} wrote it, and this is version {__version__}")
    return PlanFile(remarks, digest, body)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file that is there as a whole or not at all, whoever else writes it meanwhile. Raises ``OSError``."""
    from tempfile import mkstemp  # it imports more than all else here, and reading a plan needs none of it

    handle, name = mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
