"""Archives have one way to be written, and hostile ones are refused whatever they try."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costlens_policy.bundles import BundleError, archive
from costlens_policy.bundles.archive import pack, unpack

FILES = {"manifest.json": b"{}", "a.yaml": b"x" * 600, "b/c.yaml": b""}


def tar(*entries: tarfile.TarInfo, contents: tuple[bytes, ...] = (), form: int = tarfile.USTAR_FORMAT) -> bytes:
    """Return what `tarfile` makes of some entries."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=form) as made:
        for entry, content in zip(entries, (*contents, *[b""] * len(entries)), strict=False):
            entry.size = len(content)
            made.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def entry(name: str, **more: object) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    for key, value in more.items():
        setattr(made, key, value)
    return made


def test_an_archive_is_a_tar_that_gives_its_files_back() -> None:
    packed = pack(FILES)
    assert unpack(packed) == FILES
    with tarfile.open(fileobj=io.BytesIO(packed)) as read:
        found = {item.name: read.extractfile(item).read() for item in read}  # type: ignore[union-attr]
        assert {(item.mtime, item.uid, item.uname, item.mode) for item in read} == {(0, 0, "", 0o644)}
    assert found == FILES


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"apiVersion: costlens-policy/v1\n" * 100,
    "compressed": lambda: b"\x1f\x8b" + bytes(600),
    "no manifest": lambda: tar(entry("a.yaml")),
    "as tarfile writes it": lambda: tar(entry("manifest.json"), contents=(b"{}",)),
    "GNU": lambda: tar(entry("manifest.json"), form=tarfile.GNU_FORMAT),
    "extended headers": lambda: tar(entry("manifest.json", pax_headers={"x": "y"}), form=tarfile.PAX_FORMAT),
    "truncated": lambda: pack(FILES)[:700],
    "truncated at a block": lambda: pack(FILES)[:1024],
    "no end": lambda: pack(FILES)[:-1024],
    "more at the end": lambda: pack(FILES) + bytes(512),
    "something at the end": lambda: pack(FILES) + b"x",
    "symbolic link": lambda: _changed(pack(FILES), at=1024 + 156, to=b"2"),
    "hard link": lambda: _changed(pack(FILES), at=1024 + 156, to=b"1"),
    "device": lambda: _changed(pack(FILES), at=1024 + 156, to=b"3"),
    "a time": lambda: _changed(pack(FILES), at=136, to=b"00000000001\0"),
    "an owner": lambda: _changed(pack(FILES), at=265, to=b"root"),
    "a prefix": lambda: _changed(pack(FILES), at=1024 + 345, to=b"etc"),
    "a huge size": lambda: _changed(pack(FILES), at=1024 + 124, to=b"77777777777\0"),
    "a negative size": lambda: _changed(pack(FILES), at=1024 + 124, to=b"-0000000001\0"),
    "a size that is none": lambda: _changed(pack(FILES), at=1024 + 124, to=b"x" * 12),
    "padding": lambda: _changed(pack(FILES), at=512 + 2, to=b"secret"),
    "a name that is no text": lambda: _changed(pack(FILES), at=1024, to=b"\xff\xfe"),
}


def _changed(packed: bytes, *, at: int, to: bytes) -> bytes:
    """Return an archive with other bytes somewhere, and checksums that are right."""
    changed = bytearray(packed[:at] + to + packed[at + len(to) :])
    start = at - at % 512
    if start % 512 == 0 and start in (0, 1024):
        header = changed[start : start + 512]
        header[148:156] = b" " * 8
        changed[start + 148 : start + 156] = b"%06o\0 " % sum(header)
    return bytes(changed)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_archive_is_refused(kind: str) -> None:
    with pytest.raises(BundleError):
        unpack(HOSTILE[kind]())


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "", "a\\b", "c:x", "nul.yaml", "a\0b", "a\nb", "a.", "x" * 101,
     "é" * 51, "\ud800", "a/./b", "COM1", "b ", "*.yaml"],
)  # fmt: skip
def test_a_name_that_is_not_safe_everywhere_is_refused(name: str) -> None:
    with pytest.raises(BundleError, match="name of a file"):
        pack({"manifest.json": b"", name: b""})


@pytest.mark.parametrize(
    ("names", "problem"),
    [(("A.yaml", "a.yaml"), "one file"), (("a", "a/b"), "both a file and a folder"), (("a/b", "A"), "both a file")],
)
def test_names_that_collide_are_refused(names: tuple[str, ...], problem: str) -> None:
    with pytest.raises(BundleError, match=problem):
        pack({"manifest.json": b"", **dict.fromkeys(names, b"")})


def test_a_name_twice_is_refused() -> None:
    whole = pack(FILES)
    first = whole[:1024]
    with pytest.raises(BundleError, match="twice"):
        unpack(first + first + bytes(1024))


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_BYTES", 4096)
    with pytest.raises(BundleError, match="at most"):
        pack(FILES | {"x": bytes(4096)})
    with pytest.raises(BundleError, match="larger than"):
        unpack(pack(FILES) + bytes(4096))
    monkeypatch.undo()
    monkeypatch.setattr(archive, "MOST_FILES", 2)
    with pytest.raises(BundleError, match="more than 2"):
        unpack(pack(FILES))


@settings(max_examples=50)
@given(st.binary(max_size=1500))
def test_any_bytes_are_refused_or_are_an_archive(content: bytes) -> None:
    for candidate in (content, pack(FILES)[:512] + content):
        try:
            files = unpack(candidate)
        except BundleError:
            continue
        assert pack(files) == candidate


@given(st.integers(0, len(pack(FILES)) - 1), st.integers(0, 255))
def test_an_archive_with_one_other_byte_is_refused_or_has_another_content(at: int, byte: int) -> None:
    packed = pack(FILES)
    changed = packed[:at] + bytes([byte]) + packed[at + 1 :]
    try:
        files = unpack(changed)
    except BundleError:
        return
    assert pack(files) == changed
    assert (files == FILES) == (changed == packed)
