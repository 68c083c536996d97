"""Which addresses are of places elsewhere, and the copies of what lies there."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from costlens_policy.replay.settings import Progress
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["fetch_objects", "fetch_rows", "is_elsewhere", "is_of_objects"]

_OBJECTS: Final = ("s3", "s3a", "gs", "gcs", "az", "azure", "abfs", "abfss")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9+.-]+):")
"""Of two letters at least: one is a drive of Windows."""


def is_elsewhere(address: str) -> bool:
    """Return whether an address is not one of this machine's files. Raises ``TrafficError`` where it is unknown."""
    found = _SCHEME.match(address)
    if found is None or Path(address).exists():
        return False
    scheme = found[1]
    if scheme in _ROWS or (scheme in _OBJECTS and address.startswith(f"{scheme}://")):
        return True
    if not address.startswith(f"{scheme}://"):
        return False
    raise TrafficError(
        f"`{address}` is no place that traffic is read from; these are s3://, gs:// and az://, delta:, iceberg:, "
        f"postgresql:// and duckdb:"
    )


def is_of_objects(address: str) -> bool:
    """Return whether an address names objects of a store, by a URL, a folder or a glob."""
    return address.partition(":")[0] in _OBJECTS


def fetch_objects(
    address: str, choose: Callable[[list[str], bool], tuple[list[str], list[str]]], progress: Progress
) -> tuple[list[str], list[str]]:
    """Copy the objects that an address means; return their names, and those of others that lie there.

    ``choose`` is given all names, and whether they lie in a folder that was named. Raises ``TrafficError``.
    """
    from costlens_policy.replay.fetch.objects import fetch, look

    found = look(address)
    names, others = choose(list(found.objects), found.is_folder)
    for name in names:
        fetch(name, found, progress)
    return names, others


def fetch_rows(address: str, progress: Progress) -> str:
    """Copy the rows of a table or a query; return its name. Raises ``TrafficError``."""
    return _ROWS[address.partition(":")[0]](address, progress)


def _delta(address: str, progress: Progress) -> str:
    from costlens_policy.replay.fetch.tables import fetch_delta

    return fetch_delta(address, progress)


def _iceberg(address: str, progress: Progress) -> str:
    from costlens_policy.replay.fetch.tables import fetch_iceberg

    return fetch_iceberg(address, progress)


def _postgresql(address: str, progress: Progress) -> str:
    from costlens_policy.replay.fetch.databases import fetch_postgresql

    return fetch_postgresql(address, progress)


def _duckdb(address: str, progress: Progress) -> str:
    from costlens_policy.replay.fetch.databases import fetch_duckdb

    return fetch_duckdb(address, progress)


_ROWS: Final[Mapping[str, Callable[[str, Progress], str]]] = {
    "delta": _delta, "iceberg": _iceberg, "postgresql": _postgresql, "postgres": _postgresql, "duckdb": _duckdb,
}  # fmt: skip
