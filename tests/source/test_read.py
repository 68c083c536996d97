"""Files and streams become texts, or diagnostics that name the file and say what to do."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from costlens_policy.diagnostics.model import Diagnostic, PolicyError
from costlens_policy.source.located import position_at, span_between
from costlens_policy.source.read import MAX_BYTES, read_source, read_stdin, source_of


def _refused(path: Path | str) -> Diagnostic:
    with pytest.raises(PolicyError) as caught:
        read_source(path)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.message == diagnostic.message.rstrip(".")
    assert diagnostic.help
    return diagnostic


def test_a_file_is_read_with_its_line_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes("é: 1\r\nb: 😀\n".encode())
    source = read_source(path)
    assert source.name == str(path)
    assert source.text == "é: 1\r\nb: 😀\n"
    assert source.line_starts == (0, 6, 11)
    assert source.lines() == ("é: 1", "b: 😀", "")


def test_a_byte_order_mark_takes_no_column(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_source(path).text == "a: 1\n"
    assert source_of("\ufeffa: 1").text == "a: 1"


def test_a_missing_file_is_named_with_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "premium.yaml").touch()
    diagnostic = _refused(tmp_path / "premum.yaml")
    assert diagnostic.code == "CL001"
    assert "premum.yaml" in diagnostic.message
    assert "premium.yaml" in diagnostic.help


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    assert "no folder" in _refused(tmp_path / "no" / "a.yaml").help


def test_a_folder_is_not_a_file(tmp_path: Path) -> None:
    diagnostic = _refused(tmp_path)
    assert diagnostic.code == "CL001"
    assert "is a folder" in diagnostic.message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not hold for this user")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.touch(mode=0o000)
    assert "no permission" in _refused(path).message


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000, "loop"])
def test_impossible_paths(tmp_path: Path, name: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    diagnostic = _refused(f"{tmp_path}/{name}")
    assert diagnostic.code == "CL001"
    assert len(diagnostic.message) < 400


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as stream:
        stream.truncate(50_000_000)
    diagnostic = _refused(path)
    assert diagnostic.code == "CL002"
    assert "8 MiB" in diagnostic.message


def test_an_endless_stream_is_refused() -> None:
    with pytest.raises(PolicyError) as caught:
        read_stdin(io.BytesIO(b"x" * (MAX_BYTES + 1)))
    assert caught.value.diagnostics[0].code == "CL002"
    assert "<stdin>" in caught.value.diagnostics[0].message


def test_a_stream_is_read() -> None:
    assert read_stdin(io.BytesIO(b"a: 1\n")).name == "<stdin>"


def test_invalid_utf_8_has_a_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes("é: 1\r\nb: 漢".encode() + b"\xe9\n")
    diagnostic = _refused(path)
    assert diagnostic.code == "CL003"
    assert "0xE9" in diagnostic.message
    assert diagnostic.span is not None
    assert (diagnostic.span.start.line, diagnostic.span.start.column) == (2, 5)
    assert "UTF-8" in diagnostic.help


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_is_recognized(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "wide.yaml"
    path.write_bytes("\ufeffa: é".encode(encoding))
    assert "UTF-16" in _refused(path).message


def test_positions_count_code_points_from_one() -> None:
    source = source_of("😀漢\r\nb\rc\n")
    assert [(p.line, p.column) for p in (position_at(source, offset) for offset in range(-1, 10))] == [
        (1, 1), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 1),
    ]  # fmt: skip
    span = span_between(source, 4, 1)
    assert span.start == span.end
