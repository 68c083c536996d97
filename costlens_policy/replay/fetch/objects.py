"""Objects of a store, by a URL, a folder or a glob: ``s3://``, ``gs://`` and ``az://``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, Final

from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen
from costlens_policy.object_stores import open_store, problem_of
from costlens_policy.replay.settings import Progress
from costlens_policy.replay.traffic.copies import add_copy, copy_of, new_place
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["Found", "fetch", "look"]

_TIMEOUT: Final = 30.0
"""Seconds."""
_PART: Final = 4 * 1024**2
_MAGIC: Final = re.compile(r"[*?\[]")


@frozen
class Found:
    """The objects that a URL means, by their names. ``is_folder`` says that they lie below it."""

    objects: Mapping[str, Mapping[str, Any]]
    is_folder: bool
    store: Any


def look(url: str) -> Found:
    """Return the objects that a URL, a folder or a glob means. Raises ``TrafficError``."""
    scheme, _, rest = url.partition("://")
    bucket, _, key = rest.partition("/")
    root = f"{scheme}://{bucket}"
    try:
        store = open_store(root, _TIMEOUT)
        one = _head(store, key) if key and not key.endswith("/") else None
        if one is not None:
            return Found(_named(root, {key: one}), False, store)
        magic = _MAGIC.search(key)
        if magic is not None:
            pattern, above = _pattern(key), key[: magic.start()].rpartition("/")[0]
            found = {item["path"]: item for item in _listed(store, above) if pattern.fullmatch(item["path"])}
            return Found(_named(root, _without_markers(found)), False, store)
        found = {item["path"]: item for item in _listed(store, key.rstrip("/"))}
        return Found(_named(root, _without_markers(found)), True, store)
    except InputError as error:
        raise TrafficError(str(error)) from error
    except BaseException as error:
        problem = problem_of(error, f"`{url}` cannot be read")
        raise TrafficError(str(problem)) if isinstance(problem, InputError) else problem from error


def _named(root: str, found: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {f"{root}/{path}": item for path, item in sorted(found.items())}


def _without_markers(found: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    """Leave out the empty objects that consoles put in the place of folders."""
    return {path: item for path, item in found.items() if item["size"] or PurePosixPath(path).suffix}


def _head(store: Any, key: str) -> Mapping[str, Any] | None:
    try:
        found: Mapping[str, Any] = store.head(key)
    except FileNotFoundError:
        return None
    return found


def _listed(store: Any, folder: str) -> Iterator[Mapping[str, Any]]:
    for chunk in store.list(prefix=f"{folder}/" if folder else None):
        yield from chunk


def _pattern(key: str) -> re.Pattern[str]:
    """Return a glob as a pattern: ``*`` and ``?`` stay within a folder, ``**`` does not."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?|\[[^]]*\])", key)
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}

    def text(part: str) -> str:
        return known.get(part) or (part.replace("[!", "[^") if part.startswith("[") else re.escape(part))

    return re.compile("".join(map(text, parts)), re.DOTALL)


def fetch(name: str, found: Found, progress: Progress) -> None:
    """Copy an object as it was when it was found. Raises ``TrafficError``, also where it has changed since."""
    item = found.objects[name]
    version = " ".join(str(item.get(part) or "") for part in ("e_tag", "version", "last_modified", "size"))
    known = copy_of(name)
    if known is not None and known.version == version:
        return
    place = new_place("".join(PurePosixPath(name).suffixes[-2:]))
    progress.start("fetching", item["size"], "bytes")
    try:
        tag = item.get("e_tag")
        answer = found.store.get(item["path"], options={"if_match": tag} if tag else None)
        with open(place, "wb") as copy:
            for part in answer.stream(min_chunk_size=_PART):
                progress.advance(copy.write(part))
            size = copy.tell()
    except BaseException as error:
        if type(error).__name__ == "PreconditionError":
            raise TrafficError(f"`{name}` was changed while it was read; read it again") from error
        problem = problem_of(error, f"`{name}` cannot be fetched")
        raise TrafficError(str(problem)) if isinstance(problem, InputError) else problem from error
    if size != item["size"]:
        raise TrafficError(f"`{name}` has {item['size']:,} bytes, of which {size:,} came; read it again")
    add_copy(name, place, version, has_path=True)
