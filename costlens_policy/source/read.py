"""Find and read the files of a policy set: folders, standard input, sizes and encodings."""

from __future__ import annotations

import codecs
import errno
import os
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from os import PathLike, fspath, fstat
from pathlib import Path
from typing import BinaryIO, Final

from costlens_policy.diagnostics.model import Diagnostic, PolicyError, Position, Severity, Span
from costlens_policy.source.located import SourceText, line_starts, position_at

__all__ = [
    "MAX_BYTES", "checkout_of", "is_yaml", "read_bytes", "read_source", "read_stdin", "repository_of", "source_of",
    "special_file", "visible_files", "yaml_files",
]  # fmt: skip

MAX_BYTES: Final = 8 * 1024 * 1024
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_source(path: str | PathLike[str], *, limit: int = MAX_BYTES) -> SourceText:
    """Read one file of at most ``limit`` bytes. Raises ``PolicyError`` (CL001, CL002, CL003)."""
    name = fspath(path)
    try:
        if what := _never_ends(name):
            raise PolicyError([_not_a_file(name, what)])
        with open(name, "rb") as stream:
            if fstat(stream.fileno()).st_size > limit:
                raise PolicyError([_too_large(name, limit)])
            return _read_stream(stream, name, limit)
    except (OSError, ValueError) as error:  # ValueError: the path contains a NUL character
        raise PolicyError([_unreadable(name, error)]) from error


def read_bytes(path: str | PathLike[str]) -> bytes:
    """Read one file of any size, as bytes. Raises ``PolicyError`` (CL001)."""
    name = fspath(path)
    try:
        with open(name, "rb") as stream:
            return stream.read()
    except (OSError, ValueError) as error:
        raise PolicyError([_unreadable(name, error)]) from error


def read_stdin(stream: BinaryIO | None = None, *, name: str = "<stdin>", limit: int = MAX_BYTES) -> SourceText:
    """Read standard input, or another binary stream, under the same rules as a file."""
    try:
        return _read_stream(stream or sys.stdin.buffer, name, limit)
    except OSError as error:
        raise PolicyError([_unreadable(name, error)]) from error


def source_of(text: str, name: str = "<text>") -> SourceText:
    """Wrap a text that is already in memory. A byte order mark at its start is dropped."""
    text = text.removeprefix("\ufeff")
    return SourceText(name, text, line_starts(text))


def _read_stream(stream: BinaryIO, name: str, limit: int) -> SourceText:
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise PolicyError([_too_large(name, limit)])
    try:
        return source_of(data.decode("utf-8"), name)
    except UnicodeDecodeError as error:
        raise PolicyError([_not_utf8(name, data, error.start)]) from error


def _never_ends(name: str) -> str:
    """Return the kind of a special file that might never end, such as a pipe; empty for anything else.

    The pipe of a shell's ``<(command)`` is in a system folder, and is read to its end.
    """
    if f"{os.path.realpath(os.path.dirname(name))}/".startswith(("/dev/", "/proc/")):
        return ""
    return special_file(name)


def special_file(path: str | PathLike[str]) -> str:
    """Return what a special file is, such as "a named pipe"; empty for any other file. Raises ``OSError``."""
    mode = os.stat(path).st_mode
    return next((what for is_it, what in _SPECIAL if is_it(mode)), "")


_SPECIAL: Final = (
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _not_a_file(name: str, what: str) -> Diagnostic:
    return Diagnostic("CL001", Severity.ERROR, f"`{name}` is {what}, not a file", help="replace it with a file")


def _too_large(name: str, limit: int) -> Diagnostic:
    return Diagnostic(
        "CL002",
        Severity.ERROR,
        f"`{name}` is larger than {_size(limit)}",
        help="split it into several files, or check that it is a policy file at all",
    )


def _size(count: int) -> str:
    return f"{count // 1024**2} MiB" if count >= 1024**2 else f"{count} bytes"


def _not_utf8(name: str, data: bytes, at: int) -> Diagnostic:
    before = source_of(data[:at].decode("utf-8"), name)
    start = position_at(before, len(before.text))
    wide = data.startswith(_UTF_16)
    return Diagnostic(
        "CL003",
        Severity.ERROR,
        f"`{name}` is UTF-16 text, not UTF-8" if wide else f"byte 0x{data[at]:02X} is not valid UTF-8",
        Span(name, start, Position(start.offset + 1, start.line, start.column + 1)),
        label=f"byte {at} of the file",
        help="save the file as UTF-8",
    )


def _unreadable(name: str, error: OSError | ValueError) -> Diagnostic:
    message, advice = f"`{name}` cannot be read: {error}", "check the path"
    if isinstance(error, FileNotFoundError) and os.path.islink(name):
        message, advice = f"`{name}` is a broken link to `{os.readlink(name)}`", "repair or remove the link"
    elif isinstance(error, FileNotFoundError):
        message, advice = f"there is no file `{name}`", _similar(name)
    elif isinstance(error, IsADirectoryError):
        message, advice = f"`{name}` is a folder, not a file", "name a file inside it"
    elif isinstance(error, PermissionError):
        message, advice = f"no permission to read `{name}`", "change its permissions, or run as its owner"
    elif isinstance(error, NotADirectoryError):
        message, advice = f"`{name}` goes through something that is not a folder", "check the path"
    elif isinstance(error, OSError):
        reason = (error.strerror or str(error)).lower()
        message = f"`{_short(name)}` cannot be read: {reason}"
        advice = "a link points back to itself" if error.errno == errno.ELOOP else advice
    return Diagnostic("CL001", Severity.ERROR, message, help=advice)


def _short(name: str) -> str:
    return name if len(name) <= 200 else f"{name[:200]}…"


def _similar(name: str) -> str:
    """Suggest a neighbor with a similar name, where there is one."""
    from difflib import get_close_matches  # not for files that are there

    path = Path(name)
    try:
        names = [item.name for item in path.parent.iterdir()]
    except OSError:
        return f"there is no folder `{path.parent}` either"
    close = get_close_matches(path.name, names, n=1)
    return f"did you mean `{path.parent / close[0]}`?" if close else "check the path"


_SUFFIXES: Final = (".yaml", ".yml")
_SKIPPED: Final = frozenset({"node_modules", "__pycache__"})
_CHECKOUTS: Final = (".git", ".hg", ".jj", ".svn")


def repository_of(origin: Path, paths: Sequence[Path]) -> Path:
    """Return the folder that references may not leave.

    That is the checkout around ``origin``, else the smallest folder that holds ``paths`` and ``origin``.
    """
    if (checkout := checkout_of(origin)) is not None:
        return checkout
    given = [Path(os.path.realpath(path)) for path in paths]
    folders = [path if os.path.isdir(path) else path.parent for path in given]
    try:
        return Path(os.path.commonpath([origin.parent, *folders]))
    except ValueError:  # different drives
        return origin.parent


def checkout_of(origin: Path) -> Path | None:
    """Return the nearest folder above a file with a ``.git`` or its like, None where there is none."""
    return next((folder for folder in origin.parents if any((folder / name).exists() for name in _CHECKOUTS)), None)


def is_yaml(name: str) -> bool:
    """Return whether a file is read when a folder is: its name ends as YAML does, and does not begin with a dot."""
    return name.lower().endswith(_SUFFIXES) and not name.startswith(".")


def yaml_files(folder: str | os.PathLike[str], *, links_out: bool = False) -> Iterator[str]:
    """Yield the YAML files below a folder in order, leaving out hidden folders.

    Links to folders outside the repository are not followed, nor are links to such files; ``links_out`` names these,
    too, for a caller that reports them.
    """
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "PolicySet", [inside])
    for path in visible_files(folder):
        if is_yaml(os.path.basename(path)) and (links_out or not _leads_out(path, repository)):
            yield path


def visible_files(folder: str | os.PathLike[str], on_error: Callable[[OSError], object] | None = None) -> Iterator[str]:
    """Yield everything below a folder that is not a folder, in order, leaving out hidden folders.

    Links to other folders of the repository are followed, each once; one that leads out of it is yielded itself.
    ``on_error`` receives the errors of folders that cannot be listed.
    """
    inside = Path(os.path.realpath(folder))
    repository = repository_of(inside / "PolicySet", [inside])
    entered: set[Path] = set()
    for here, folders, files in os.walk(folder, onerror=on_error, followlinks=True):
        shown = sorted(name for name in folders if not name.startswith(".") and name not in _SKIPPED)
        folders[:] = [name for name in shown if _is_entered(os.path.join(here, name), inside, repository, entered)]
        for name in sorted([*files, *(name for name in shown if name not in folders)]):
            path = os.path.normpath(os.path.join(here, name))
            if name in files or (_leads_out(path, repository) and not inside.is_relative_to(os.path.realpath(path))):
                yield path


def _is_entered(path: str, inside: Path, repository: Path, entered: set[Path]) -> bool:
    """Return whether a walk goes on in a folder: a link must lead to what the walk does not come to without it."""
    if not os.path.islink(path):
        return True
    real = Path(os.path.realpath(path))
    comes_anyway = real in entered or real.is_relative_to(inside) or inside.is_relative_to(real)
    if comes_anyway or not real.is_relative_to(repository):
        return False
    entered.add(real)
    return True


def _leads_out(path: str, repository: Path) -> bool:
    return os.path.islink(path) and not Path(os.path.realpath(path)).is_relative_to(repository)
