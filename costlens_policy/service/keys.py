"""API keys: what a caller presents, what the file of keys keeps, and which scope opens what.

A key is ``clp_NAME_SECRET`` with 256 random bits in its secret. The file holds the SHA-256 of the secret: with so many
bits there is nothing to guess, so that a slow hash would protect nothing and cost each request its time.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

__all__ = ["Key", "KeyFile", "Keys", "Scope"]

_PREFIX: Final = b"clp_"
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_FIELDS: Final = frozenset({"name", "scopes", "sha256", "created_at"})
_UNKNOWN: Final = (None, bytes(32))
"""What the secret of a name that is unknown is compared with, so that it takes as long."""


class Scope(StrEnum):
    """What a key opens. ``admin`` opens everything."""

    DECIDE = "decide"
    SETTLE = "settle"
    ADMIN = "admin"


@frozen
class Key:
    """One key, without its secret."""

    name: str
    scopes: frozenset[Scope]
    sha256: str
    created_at: datetime

    def opens(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes


class Keys:
    """The keys that a service knows at a time."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._by_name: Final[Mapping[bytes, tuple[Key | None, bytes]]] = {
            key.name.encode(): (key, bytes.fromhex(key.sha256)) for key in keys
        }

    def find(self, presented: bytes) -> Key | None:
        """Return the key that a caller presents; None where there is none like it. Takes as long for each."""
        name, _, secret = presented.removeprefix(_PREFIX).partition(b"_")
        key, kept = self._by_name.get(name, _UNKNOWN)
        return key if hmac.compare_digest(hashlib.sha256(secret).digest(), kept) else None

    def __len__(self) -> int:
        return len(self._by_name)


class KeyFile:
    """A file of keys, which people change with ``costlens-policy keys``. It is replaced as a whole.

    Raises ``InputError`` for what cannot be read or written, or is not a file of keys.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Final = Path(path)

    def read(self) -> tuple[Key, ...]:
        """Return the keys, in the order in which they were added."""
        try:
            content = json.loads(self.path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"there is no file of keys `{self.path}`; `costlens-policy keys add` makes it") from None
        except OSError as error:
            raise InputError(f"`{self.path}` cannot be read: {(error.strerror or str(error)).lower()}") from error
        except ValueError as error:
            raise InputError(f"`{self.path}` is not a file of keys: it must be JSON") from error
        if not isinstance(content, dict) or not isinstance(content.get("keys"), list):
            raise InputError(f"`{self.path}` is not a file of keys: it must be an object with a list `keys`")
        keys = tuple(self._key(item, place) for place, item in enumerate(content["keys"]))
        if len({key.name for key in keys}) < len(keys):
            raise InputError(f"`{self.path}` has two keys of one name")
        return keys

    def add(self, name: str, scopes: Iterable[Scope], now: datetime) -> str:
        """Add a key and return it, secret and all: nobody can read it again."""
        if not _NAME.fullmatch(name):
            raise InputError(f"the name of a key must be lower-case letters, digits and dashes, got `{name}`")
        keys = self.read() if self.path.exists() else ()
        if any(key.name == name for key in keys):
            raise InputError(f"there is a key `{name}` already; revoke it first, or choose another name")
        secret = secrets.token_urlsafe(32)
        self._write((*keys, Key(name, frozenset(scopes), hashlib.sha256(secret.encode()).hexdigest(), now)))
        return f"{_PREFIX.decode()}{name}_{secret}"

    def revoke(self, name: str) -> None:
        """Take a key out; services that run refuse it within a second."""
        keys = self.read()
        left = [key for key in keys if key.name != name]
        if len(left) == len(keys):
            known = ", ".join(f"`{key.name}`" for key in keys) or "none"
            raise InputError(f"there is no key `{name}`; there are {known}")
        self._write(left)

    def _key(self, item: Any, place: int) -> Key:
        where = f"key {place + 1} of `{self.path}`"
        if not isinstance(item, dict) or item.keys() != _FIELDS:
            raise InputError(
                f"{where} must have {', '.join(f'`{name}`' for name in sorted(_FIELDS))}, and nothing else"
            )
        try:
            scopes = frozenset(map(Scope, item["scopes"]))
            created_at = datetime.fromisoformat(item["created_at"])
        except (TypeError, ValueError):
            raise InputError(f"{where} has an unknown scope or an invalid time") from None
        if not (isinstance(item["name"], str) and _NAME.fullmatch(item["name"])):
            raise InputError(f"{where} has no usable name")
        if not (isinstance(item["sha256"], str) and _DIGEST.fullmatch(item["sha256"])):
            raise InputError(f"{where} has no SHA-256 in hexadecimal digits")
        return Key(item["name"], scopes, item["sha256"], created_at)

    def _write(self, keys: Iterable[Key]) -> None:
        entries = [
            {
                "name": key.name,
                "scopes": [scope.value for scope in Scope if scope in key.scopes],
                "sha256": key.sha256,
                "created_at": key.created_at.isoformat(),
            }
            for key in keys
        ]
        text = json.dumps({"keys": entries}, indent=2) + "\n"
        try:
            self._replace(text)
        except OSError as error:
            raise InputError(f"`{self.path}` cannot be written: {(error.strerror or str(error)).lower()}") from error

    def _replace(self, text: str) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")  # for its owner only
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
