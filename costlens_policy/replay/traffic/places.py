"""Where traffic lies: files by paths, folders and globs, what is not read of them, and the keys in their paths."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote

from costlens_policy.replay.settings import Progress, Silent
from costlens_policy.replay.traffic.copies import copy_of, local
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["STDIN", "FoundFiles", "find_files", "kind_of", "look_for", "partition_of", "rereadable", "size_of"]

STDIN: Final = "-"
_KINDS: Final = {
    ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json", ".json": "json", ".parquet": "parquet",
}  # fmt: skip
_COMPRESSED: Final = (".gz", ".zst")
_NO_VALUE: Final = "__HIVE_DEFAULT_PARTITION__"
_CURRENT: Final[Mapping[str, str]] = {
    "Delta": "pass `delta:{0}`",
    "Iceberg": "pass `iceberg:{0}/metadata/` with its last file `.metadata.json`, or `iceberg:CATALOG/TABLE`",
    "Hudi": "pass each current file, which a snapshot query with `_hoodie_file_name` lists",
}
"""Formats of tables that leave old files beside the current ones, and how the current ones are read."""


class FoundFiles(NamedTuple):
    """``files`` are read, in order, each once; ``skipped`` lay beside them and are not."""

    files: tuple[str, ...]
    skipped: tuple[str, ...]


def find_files(patterns: Sequence[str]) -> tuple[str, ...]:
    """Return the files that match paths, folders and globs, each once, in order.

    Raises ``TrafficError`` for a pattern without files, and for tables whose folders mix old files with the current
    ones.
    """
    return look_for(patterns).files


def look_for(patterns: Sequence[str], progress: Progress | None = None) -> FoundFiles:
    """Return what ``find_files`` does, and what else lies in the folders. Hidden and temporary files do not count.

    What lies elsewhere is copied for as long as the process lasts, and read under its own name: objects of a store, a
    table as of one snapshot, the rows of a query.
    """
    shown = Silent() if progress is None else progress
    files: dict[str, str] = {}
    skipped: dict[str, None] = {}
    for pattern in patterns:
        names, others = _fetched(pattern, shown) if _is_elsewhere(pattern) else _named(pattern)
        if not names:
            raise TrafficError(
                f"no traffic in `{pattern}`; pass files of type {', '.join(_KINDS)} (or with .gz, .zst)"
                + (f"; found only `{others[0]}`" if others else "")
            )
        for name in names:
            real = name if name == STDIN or copy_of(name) is not None else os.path.realpath(name)
            if files.setdefault(real, name) != name:
                skipped[f"{name} (the same as {files[real]})"] = None
        skipped.update(dict.fromkeys(others))
    return FoundFiles(tuple(files.values()), tuple(skipped))


def _is_elsewhere(pattern: str) -> bool:
    if ":" not in pattern:
        return False
    from costlens_policy.replay.fetch.addresses import is_elsewhere

    return is_elsewhere(pattern)


def _fetched(address: str, progress: Progress) -> tuple[list[str], list[str]]:
    from costlens_policy.replay.fetch.addresses import fetch_objects, fetch_rows, is_of_objects

    if not is_of_objects(address):
        return [fetch_rows(address, progress)], []
    return fetch_objects(address, _chosen, progress)


def _chosen(names: list[str], is_folder: bool) -> tuple[list[str], list[str]]:
    """Return which objects are read, of those in a folder or of a glob, and which lie beside them and are not."""
    for name in names:
        kind = "Delta" if "/_delta_log/" in name else "Iceberg" if name.endswith(".metadata.json") else ""
        if kind:
            raise _is_table(name.partition("/_delta_log/" if kind == "Delta" else "/metadata/")[0], kind)
    if len(names) == 1 and not is_folder:
        return names, []
    seen = [name for name in names if not any(map(_hidden, name.split("/")[3:]))]
    files = [name for name in seen if kind_of(name) or not is_folder]
    _refuse_twins(files)
    return files, [name for name in seen if name not in files]


def _named(pattern: str) -> tuple[list[str], list[str]]:
    if pattern == STDIN:
        return [STDIN], []
    path = Path(pattern)
    if path.is_dir():
        _refuse_tables([path, *path.absolute().parents])
        every = sorted(_inside(path))
        files = [name for name in every if kind_of(name)]
        _refuse_twins(files)
        return files, [name for name in every if not kind_of(name)]
    if path.exists():
        return [pattern], []
    names = sorted(name for name in glob.glob(pattern, recursive=True) if Path(name).is_file())
    _refuse_tables(dict.fromkeys(parent for name in names for parent in Path(name).absolute().parents))
    names = [name for name in names if not _hidden(Path(name).name)]
    _refuse_twins(names)
    return names, []


def _refuse_twins(names: Sequence[str]) -> None:
    """Refuse a file that lies beside a compressed copy of itself: its rows would be counted twice."""
    plain: dict[str, str] = {}
    for name in names:
        bare = next((name[: -len(suffix)] for suffix in _COMPRESSED if name.lower().endswith(suffix)), name)
        first = plain.setdefault(bare, name)
        if first != name:
            raise TrafficError(
                f"`{first}` and `{name}` seem to contain the same rows; pass one of them, or list both explicitly"
            )


def _inside(folder: Path) -> Iterator[str]:
    for at, folders, files in os.walk(folder):
        _refuse_tables([Path(at)])
        folders[:] = [name for name in folders if not _hidden(name)]
        yield from (os.path.join(at, name) for name in files if not _hidden(name) and Path(at, name).is_file())


def _hidden(name: str) -> bool:
    """Return whether a name is one of those that engines write beside data: `_SUCCESS`, `.part-0.crc`, `_temporary`."""
    return name.startswith((".", "_")) or name.endswith((".crc", ".tmp", "~"))


def _refuse_tables(folders: Sequence[Path] | dict[Path, None]) -> None:
    for folder in folders:
        kind = _table(folder)
        if kind:
            raise _is_table(str(folder), kind)


def _is_table(folder: str, kind: str) -> TrafficError:
    return TrafficError(
        f"`{folder}` is in {kind} format, which keeps old versions beside the current ones; "
        f"{_CURRENT[kind].format(folder)}, or export the table to one Parquet file"
    )


def _table(folder: Path) -> str:
    if (folder / "_delta_log").is_dir():
        return "Delta"
    if (folder / ".hoodie").is_dir():
        return "Hudi"
    metadata = folder / "metadata"
    if metadata.is_dir() and any(name.endswith(".metadata.json") or name == "version-hint.text"
                                 for name in os.listdir(metadata)):  # fmt: skip
        return "Iceberg"
    return ""


def kind_of(name: str) -> str:
    """Return what a file is by its name: ``csv``, ``json``, ``parquet``, or an empty string if unknown."""
    suffixes = [suffix.lower() for suffix in Path(local(name)).suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    return _KINDS.get(suffixes[-1], "") if suffixes else ""


def size_of(name: str) -> int | None:
    """Return the size of a text file in bytes; None if it does not show how much there is to read."""
    path = local(name)
    compressed = name == STDIN or path.lower().endswith((*_COMPRESSED, ".parquet"))
    return None if compressed else Path(path).stat().st_size


def rereadable(name: str) -> bool:
    """Return whether a file can be read twice, as standard input and pipes cannot."""
    return name != STDIN and Path(local(name)).is_file()


def partition_of(name: str) -> dict[str, str | None]:
    """Return the columns that folders in a path name, as in `team=search/day=2026-09-01/part-0.parquet`."""
    copy = copy_of(name)
    if name == STDIN or (copy is not None and not copy.has_path):
        return {}
    pairs = (part.partition("=") for part in Path(name).parent.parts)
    return {unquote(key): None if value == _NO_VALUE else unquote(value) for key, sign, value in pairs if sign and key}
