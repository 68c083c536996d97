"""Run by the Python that has DuckDB, Daft, Polars and PyIceberg: what they hand out, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import daft
import duckdb
import polars as pl
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from costlens_policy.replay import replay_arrow
from costlens_policy.report import report_arrow
from tests.integration.engines.cases import BY, answer, answers, asked, run_snippet
from tests.replay.parts.traffic import MAPPING

what = asked()
for snippet in what["snippets"]:
    run_snippet(snippet)
log, folder = what["log"], Path(what["log"]).parent


def iceberg() -> pa.RecordBatchReader:
    """Return the reader of a table that was written in two appends, the later calls first."""
    catalog = SqlCatalog("local", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}")
    if not catalog.namespace_exists("logs"):
        catalog.create_namespace("logs")
        frame = pl.read_csv(log, try_parse_dates=True)
        table = catalog.create_table("logs.calls", schema=frame.to_arrow().schema)
        for part in (frame[700:], frame[:700]):
            table.append(part.to_arrow())
    return catalog.load_table("logs.calls").scan().to_arrow_batch_reader()


QUERY = f"select * from '{log}' order by hash(id)"
ENGINES: dict[str, Callable[[], Any]] = {
    "duckdb": lambda: duckdb.sql(QUERY).fetch_record_batch(300),
    "daft": lambda: daft.read_csv(log).to_arrow_iter(),
    "polars": lambda: pl.scan_csv(log).collect_batches(chunk_size=400),
    "iceberg": iceberg,
}
for engine, batches in ENGINES.items():
    for name, text in answers(
        what["folders"],
        lambda _, plan, batches=batches: replay_arrow(batches(), plan, MAPPING, place="row"),
        lambda prices, batches=batches: report_arrow(batches(), settings=BY, prices=prices, place="row"),
    ):
        answer(f"{engine}: {name}", text)
