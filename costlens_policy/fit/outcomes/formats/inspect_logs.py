"""Logs of Inspect: `.json`, and `.eval`, a ZIP archive of its header and a file for each sample.

A sample has a score of each scorer; where there are several, the one of the log's headline counts. Epochs are runs of a
sample. Values are numbers, or the letters that Inspect itself turns into numbers (`value_to_float`). Members of newer
archives are compressed with zstd, which Python's `zipfile` does not know before 3.14, so that their bytes go to Polars.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any, Final

from costlens_policy.fit.outcomes.cases import OutcomesError
from costlens_policy.fit.outcomes.formats.format import (
    Format,
    Opened,
    failed,
    milliseconds,
    object_at,
    only_score,
    part,
    rows_of,
)
from costlens_policy.fit.outcomes.joining import Joining
from costlens_policy.replay.traffic.sources import RawRow

__all__ = ["INSPECT", "INSPECT_ARCHIVE"]

_HEADER: Final = "header.json"
_START: Final = "_journal/start.json"
"""The header of a log whose run did not end."""
_SAMPLES: Final = "samples/"
_LARGEST: Final = 1 << 29
"""Bytes of a member."""
_ZSTD: Final = 93
"""The compression method of ZIP archives that is zstd (APPNOTE 6.3.8)."""
_LOCAL_HEADER: Final = struct.Struct("<26xHH")
"""Of a member: the sizes of its name and its extra field, which stand before its bytes."""
_LETTERS: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Correct, partially correct, incorrect and no answer."""
_COLUMNS: Final = {
    "id": "id", "task": "metadata.task|metadata.category|task", "prompt": "input", "model": "model", "score": "score",
    "run": "run", "prompt_tokens": "usage.input_tokens", "output_tokens": "usage.output_tokens",
    "latency_ms": "latency_ms", "time": "created",
}  # fmt: skip


def _fits(file: Opened) -> bool:
    document = file.document
    return isinstance(document, Mapping) and {"eval", "status", "plan"} <= document.keys()


def _rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    samples = file.document.get("samples")
    if not isinstance(samples, list) or not samples:
        raise OutcomesError(f"`{file.name}` has no samples; log them with `--log-samples`")
    return _of_log(file.document, rows_of(samples, file.name), joining)


def _archive_rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    with zipfile.ZipFile(file.name) as archive:
        header = _HEADER if _HEADER in file.members else _START
        names = sorted(name for name in file.members if name.startswith(_SAMPLES) and name.endswith(".json"))
        samples = rows_of((_member(archive, name) for name in names), file.name)
        yield from _of_log(_member(archive, header), samples, joining)


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    info = archive.getinfo(name)
    if info.file_size > _LARGEST:
        raise OutcomesError(
            f"`{archive.filename}` has `{name}` of more than {_LARGEST >> 20:,} MiB; log without images"
        )
    text = _unpacked(archive, info) if info.compress_type == _ZSTD else archive.read(info).decode("utf-8")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return f"`{name}` is not JSON"


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    with suppress(NotImplementedError):  # from Python 3.14 on, it is implemented
        return archive.read(info).decode("utf-8")
    try:
        polars = import_module("polars")
    except ImportError:
        raise OutcomesError(
            f"`{archive.filename}` is compressed with zstd, which needs Polars; install `costlens-policy[replay]`, or "
            "convert it with `inspect log convert --to json`"
        ) from None
    assert archive.fp is not None
    archive.fp.seek(info.header_offset)
    name, extra = _LOCAL_HEADER.unpack(archive.fp.read(_LOCAL_HEADER.size))
    archive.fp.seek(name + extra, io.SEEK_CUR)
    try:
        lines = polars.scan_lines(io.BytesIO(archive.fp.read(info.compress_size))).collect().to_series()
    except polars.exceptions.PolarsError as error:
        raise zipfile.BadZipFile(f"`{info.filename}` is damaged") from error
    return "\n".join(lines)


def _of_log(log: Any, samples: Iterator[RawRow], joining: Joining) -> Iterator[RawRow]:
    about, several = object_at(log, "eval"), part(log, "eval", "config", "epochs") not in (None, 1)
    headline = part(log, "results", "headline", "score")
    for number, raw in enumerate(samples):
        if number == 0:
            _check(raw.file, log, joining)
        scores = {name: part(score, "value") for name, score in object_at(raw.fields, "scores").items()}
        if raw.problem:
            yield raw
        elif not scores:
            failed(joining, raw.file, raw.number)
        else:
            made = {
                "task": about.get("task"), "model": about.get("model"), "created": about.get("created"),
                "score": _score(raw, scores, headline, joining),
                "run": str(raw.fields.get("epoch")) if several else None, "latency_ms": _latency(raw.fields),
                "usage": object_at(raw.fields, "model_usage", str(about.get("model"))),
            }  # fmt: skip
            yield RawRow(raw.file, raw.number, {**raw.fields, **made})


def _check(file: str, log: Any, joining: Joining) -> None:
    if part(log, "invalidated") is True:
        raise OutcomesError(f"`{file}` is marked as invalidated; remove it")
    if part(log, "status") != "success":
        joining.remarks.add("logs of a run that did not succeed, whose samples count", file)


def _score(raw: RawRow, scores: Mapping[str, Any], headline: Any, joining: Joining) -> Any:
    if not isinstance(headline, str) or headline not in scores:
        return only_score(scores, raw.file, "scores", joining)
    if len(scores) > 1 and "score" not in joining.settings.columns:
        what = f"samples with several scores, of which that of the headline, `{headline}`, was read"
        joining.remarks.add(what, (raw.file, raw.number))
    return scores[headline]


def _latency(sample: Mapping[str, Any]) -> float | None:
    return milliseconds(part(sample, "output", "time") or sample.get("working_time"))


INSPECT = Format(
    "inspect", "logs of Inspect as JSON", _fits, _rows, _COLUMNS, words=_LETTERS
)  # fmt: skip
INSPECT_ARCHIVE = Format(
    "inspect-eval",
    "logs of Inspect as `.eval`",
    lambda file: bool({_HEADER, _START} & file.members),
    _archive_rows,
    _COLUMNS,
    words=_LETTERS,
)
