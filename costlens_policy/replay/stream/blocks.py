"""Text files as blocks of whole lines, for readers that look at many lines at once."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Final, cast

from costlens_policy.frozen import frozen
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.places import rereadable
from costlens_policy.replay.traffic.row import TrafficError

__all__ = ["TextBlock", "blocks_of", "is_plain_text", "lines_in"]

_SIZE: Final = 8 << 20
"""Bytes of a block, or more where one line is longer."""
_GZIP: Final = b"\x1f\x8b"
_MARK: Final = b"\xef\xbb\xbf"
_OF_OTHERS: Final = (
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x28\xb5\x2f\xfd",
    b"PAR1",
    b"PK\x03\x04",
    b"Obj\x01",
    b"ORC",
    b"ARROW1",
)
"""How files begin that are not UTF-8: other encodings and formats, of which the reader of rows knows more."""


@frozen
class TextBlock:
    """Lines of a file in UTF-8. ``line`` is the number of the first, ``ended`` whether the last has its line end."""

    text: bytes
    line: int
    ended: bool


def is_plain_text(name: str) -> bool:
    """Return whether a file can be read as UTF-8, as it is or compressed with gzip, as far as it shows at once."""
    if not rereadable(name) or name.lower().endswith(".zst"):
        return False
    try:
        with _opened(name) as stream:
            head = stream.read(4)
    except (OSError, EOFError):
        return False  # the reader of rows says what is wrong
    return bool(head) and 0 not in head and not head.startswith(_OF_OTHERS)


def blocks_of(name: str) -> Iterator[TextBlock]:
    """Yield the blocks of a file. Bytes that are not UTF-8 are replaced. Raises ``TrafficError``."""
    line, rest, first = 1, b"", True
    try:
        with _opened(name) as stream:
            while data := stream.read(_SIZE):
                data, first = data.removeprefix(_MARK) if first else data, False
                end = data.rfind(b"\n") + 1
                if not end:
                    rest += data
                    continue
                text, rest = _decoded(rest + data[:end]), data[end:]
                yield TextBlock(text, line, True)
                line += lines_in(text)
    except (OSError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TrafficError(f"`{name}` cannot be read: {reason.lower()}") from error
    if rest:
        yield TextBlock(_decoded(rest), line, rest.endswith(b"\r"))


def lines_in(text: bytes) -> int:
    """Return how many line ends a text has: ``\\n``, ``\\r`` or both together."""
    return text.count(b"\n") + (text.count(b"\r") - text.count(b"\r\n") if b"\r" in text else 0)


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    with open(local(name), "rb") as stream:
        head = stream.read(2)
        stream.seek(0)
        if head == _GZIP:
            yield cast("IO[bytes]", io.BufferedReader(cast(io.RawIOBase, gzip.GzipFile(fileobj=stream))))
        else:
            yield stream


def _decoded(text: bytes) -> bytes:
    if text.isascii():
        return text
    try:
        text.decode()
    except UnicodeDecodeError:
        return text.decode(errors="replace").encode()
    return text
