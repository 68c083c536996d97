"""An archive with one way to write it: a list of files as an uncompressed tar, and back.

It is the oldest form that every ``tar`` reads (POSIX 1003.1-1988, "ustar"): for each file a header of 512 bytes and its
content, filled up with zeros to a multiple of 512; 1,024 zeros at the end. Names have at most 100 bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from costlens_policy.bundles.errors import BundleError

__all__ = ["FIRST", "MAX_BYTES", "is_archive", "is_bundle", "pack", "problem_of_name", "unpack"]

FIRST: Final = "manifest.json"
"""The first file of each archive, by which it is recognized."""
MAX_BYTES: Final = 64 * 1024**2
MOST_FILES: Final = 10_000
_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
_LONGEST: Final = 100
_GZIP: Final = b"\x1f\x8b"
_RESERVED: Final = frozenset(
    {"con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(10))}
)
"""Names that are devices where Windows is."""


def is_archive(head: bytes) -> bool:
    """Return whether a file that begins so claims to be a bundle; 512 bytes are enough.

    Every tar archive does, also a compressed one: it was meant to be a bundle, and is no YAML.
    """
    return head.startswith((FIRST.encode() + b"\0", _GZIP)) or head[257:262] == b"ustar"


def is_bundle(path: str | os.PathLike[str]) -> bool:
    """Return whether a path is a file that claims to be a bundle."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as stream:
            return is_archive(stream.read(_BLOCK))
    except (OSError, ValueError):
        return False


def pack(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of some files, in their order. Raises ``BundleError`` for names that it cannot hold."""
    _check_names(files)
    parts: list[bytes] = []
    for name, content in files.items():
        parts += (_header(name, len(content)), content, bytes(-len(content) % _BLOCK))
    packed = b"".join((*parts, _END))
    if len(packed) > MAX_BYTES:
        raise BundleError(f"a bundle must have at most {MAX_BYTES // 1024**2} MiB, got {len(packed):,} bytes")
    return packed


def unpack(packed: bytes) -> dict[str, bytes]:
    """Return the files of an archive. Raises ``BundleError`` for whatever ``pack`` does not write."""
    if len(packed) > MAX_BYTES:
        raise BundleError(f"it is larger than {MAX_BYTES // 1024**2} MiB")
    if packed.startswith(_GZIP):
        raise BundleError("it is compressed; use it as `build` wrote it")
    if not is_archive(packed[:_BLOCK]):
        raise BundleError("it is not a bundle")
    if not packed.startswith(FIRST.encode() + b"\0"):
        raise BundleError(f"its first file must be `{FIRST}`")
    files: dict[str, bytes] = {}
    for name, content in _entries(packed):
        if name in files:
            raise BundleError(f"it has `{name}` twice")
        if len(files) == MOST_FILES:
            raise BundleError(f"it has more than {MOST_FILES:,} files")
        files[name] = content
    if pack(files) != packed:
        raise BundleError("it is not written as `build` writes it")
    return files


def problem_of_name(name: str) -> str:
    """Return why a file cannot have a name in a bundle; empty if it can: it must be safe on every system."""
    if not name or len(name.encode("utf-8", "replace")) > _LONGEST:
        return f"must have 1 to {_LONGEST} bytes"
    if not name.isprintable() or any(sign in name for sign in '\\:*?"<>|') or not _is_utf_8(name):
        return "has a character that not every system allows"
    for part in name.split("/"):
        if part in ("", ".", "..") or part.endswith((".", " ")) or part.lower().partition(".")[0] in _RESERVED:
            return "must be a relative path without `.` and `..`"
    return ""


def _is_utf_8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_names(files: Mapping[str, bytes]) -> None:
    if next(iter(files), "") != FIRST:
        raise BundleError(f"its first file must be `{FIRST}`")
    seen: dict[str, str] = {}
    folders: set[str] = set()
    for name in files:
        if problem := problem_of_name(name):
            raise BundleError(f"the name of a file {problem}, got `{name[:200]}`")
        folded = name.casefold()
        if folded in seen:
            raise BundleError(f"`{seen[folded]}` and `{name}` are one file where names have no case")
        seen[folded] = name
        folders.update(_folders_of(folded))
    if both := folders & seen.keys():
        raise BundleError(f"`{seen[min(both)]}` is both a file and a folder")


def _folders_of(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _header(name: str, size: int) -> bytes:
    fields = (
        name.encode().ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,  # mode; owner and group
        b"%011o\0" % size,
        b"%011o\0" % 0,  # the time
        b" " * 8,  # the checksum, which counts itself as blanks
        b"0" + bytes(100),  # a regular file, and where a link would lead
        b"ustar\x0000",
        bytes(32 + 32 + 8 + 8 + 155 + 12),  # owner, group, device, the prefix of long names, padding
    )
    header = b"".join(fields)
    return header[:148] + b"%06o\0 " % sum(header) + header[156:]


def _entries(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Yield names and contents, as far as they can be made out; what else is wrong shows in comparison."""
    at = 0
    while packed[at : at + _BLOCK].strip(b"\0"):
        header = packed[at : at + _BLOCK]
        try:
            name, size = header[:100].rstrip(b"\0").decode(), int(header[124:135], 8)
        except ValueError:
            raise BundleError(f"it is damaged at byte {at:,}") from None
        at += _BLOCK
        if not 0 <= size <= len(packed) - at:
            raise BundleError(f"it is truncated: `{name}` is not all there")
        yield name, packed[at : at + size]
        at += size + -size % _BLOCK
