"""Tables of a lake by one of their snapshots: ``delta:PLACE[@VERSION]`` and ``iceberg:CATALOG/TABLE[@SNAPSHOT]``."""

from __future__ import annotations

from typing import Any
from warnings import catch_warnings, filterwarnings

from costlens_policy.replay.settings import Progress
from costlens_policy.replay.traffic.copies import add_copy, copy_of, new_place
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["fetch_delta", "fetch_iceberg"]


def fetch_delta(address: str, progress: Progress) -> str:
    """Copy the current version of a Delta table, or the one that is named; return its name with the version.

    What deletion vectors delete is left out. Takes the extra ``delta``. Raises ``TrafficError``.
    """
    place, version = _parted(address.partition(":")[2], address, "version")
    try:
        from deltalake import DeltaTable
    except ImportError:
        raise TrafficError("`deltalake` is not installed: pip install 'costlens-policy[delta]'") from None
    import polars as pl

    try:
        table = DeltaTable(place, version=version)
        name = f"delta:{place}@{table.version()}"
        return _copied(name, str(table.version()), pl.scan_delta(table), progress)
    except Exception as error:
        raise _unreadable(address, error) from error


def fetch_iceberg(address: str, progress: Progress) -> str:
    """Copy the current snapshot of an Iceberg table, or the one that is named; return its name with the snapshot.

    CATALOG is one that PyIceberg's configuration names, in place of CATALOG/TABLE a path or URL of a metadata file may
    stand. What delete files delete is left out. Takes the extra ``iceberg``. Raises ``TrafficError``.
    """
    place, snapshot = _parted(address.partition(":")[2], address, "snapshot")
    try:
        from pyiceberg.catalog import load_catalog
        from pyiceberg.table import StaticTable
    except ImportError:
        raise TrafficError("`pyiceberg` is not installed: pip install 'costlens-policy[iceberg]'") from None
    import polars as pl

    try:
        if place.endswith(".metadata.json"):
            table: Any = StaticTable.from_metadata(place)
        else:
            catalog, _, name = place.partition("/")
            table = load_catalog(catalog).load_table(name)
        current = table.current_snapshot() if snapshot is None else table.snapshot_by_id(snapshot)
        if current is None:
            raise TrafficError(f"`{address}` has no snapshot" + ("" if snapshot is None else f" {snapshot}"))
        name = f"iceberg:{place}@{current.snapshot_id}"
        scan = pl.scan_iceberg(table, snapshot_id=current.snapshot_id)
        return _copied(name, str(current.snapshot_id), scan, progress)
    except TrafficError:
        raise
    except Exception as error:
        raise _unreadable(address, error) from error


def _parted(rest: str, address: str, what: str) -> tuple[str, int | None]:
    """Return the place of a table, and which of its states is meant. Raises ``TrafficError``."""
    place, sign, state = rest.rpartition("@")
    if not sign or "/" in state:
        place, state = rest, ""
    if sign and state and not state.isdigit():
        raise TrafficError(f"the {what} of `{address}` must be a number, got `{state}`")
    if not place:
        raise TrafficError(f"`{address}` names no table")
    return place, int(state) if state else None


def _copied(name: str, version: str, scan: Any, progress: Progress) -> str:
    if copy_of(name) is None:
        place = new_place(".parquet")
        progress.start("fetching", None, "rows")
        with catch_warnings():
            filterwarnings("ignore", message="Iceberg scan planning")  # of a faster planner, which is not installed
            scan.sink_parquet(place)
        add_copy(name, place, version)
    return name


def _unreadable(address: str, error: Exception) -> TrafficError:
    text = next(iter(str(error).splitlines()), "") or type(error).__name__
    return TrafficError(f"`{address}` cannot be read: {text[:300]}")
