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
from costlens_policy.fit.outcomes.formats.format import Format, Opened, failed, only_score
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
    if not samples:
        raise OutcomesError(f"`{file.name}` has no samples; log them with `--log-samples`")
    return _of_log(file.name, file.document, enumerate(samples, 1), joining)


def _archive_rows(file: Opened, joining: Joining) -> Iterator[RawRow]:
    with zipfile.ZipFile(file.name) as archive:
        header = _HEADER if _HEADER in file.members else _START
        names = sorted(name for name in file.members if name.startswith(_SAMPLES) and name.endswith(".json"))
        samples = ((number, _member(archive, name)) for number, name in enumerate(names, 1))
        yield from _of_log(file.name, _member(archive, header), samples, joining)


def _member(archive: zipfile.ZipFile, name: str) -> Any:
    info = archive.getinfo(name)
    if info.file_size > _LARGEST:
        raise OutcomesError(
            f"`{archive.filename}` has `{name}` of more than {_LARGEST >> 20:,} MiB; log without images"
        )
    text = _unpacked(archive, info) if info.compress_type == _ZSTD else archive.read(info).decode("utf-8")
    return json.loads(text)


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
    lines = polars.scan_lines(io.BytesIO(archive.fp.read(info.compress_size))).collect().to_series()
    return "\n".join(lines)


def _of_log(
    file: str, log: Mapping[str, Any], samples: Iterator[tuple[int, Mapping[str, Any]]], joining: Joining
) -> Iterator[RawRow]:
    if log.get("invalidated") is True:
        raise OutcomesError(f"`{file}` is marked as invalidated; remove it")
    about = log["eval"]
    if log.get("status", "started") != "success":
        joining.remarks.add("logs of a run that did not succeed, whose samples count", file)
    epochs = (about.get("config") or {}).get("epochs") or 1
    headline = ((log.get("results") or {}).get("headline") or {}).get("score")
    for number, sample in samples:
        scores = sample.get("scores") or {}
        if not scores:
            failed(joining, file, number)
            continue
        named = {name: score.get("value") for name, score in scores.items() if isinstance(score, Mapping)}
        score = named[headline] if headline in named else only_score(named, file, "scores", joining)
        made = {
            "task": about.get("task"), "model": about.get("model"), "created": about.get("created"), "score": score,
            "run": str(sample.get("epoch")) if epochs > 1 else None, "latency_ms": _latency(sample),
            "usage": (sample.get("model_usage") or {}).get(about.get("model")),
        }  # fmt: skip
        if headline in named and len(named) > 1 and "score" not in joining.settings.columns:
            joining.remarks.add(
                f"samples with several scores, of which that of the headline, `{headline}`, was read", (file, number)
            )
        yield RawRow(file, number, {**sample, **made})


def _latency(sample: Mapping[str, Any]) -> float | None:
    seconds = (sample.get("output") or {}).get("time") or sample.get("working_time")
    return None if not isinstance(seconds, int | float) else seconds * 1000


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
