"""Traffic in an object store, in tables of Delta and Iceberg and in DuckDB has the figures of a file with its rows."""

from __future__ import annotations

from tests.integration.environments import installed, run_tests

_PACKAGES = (
    "polars>=2,<3", "deltalake>=1,<2", "pyiceberg[sql-sqlite]>=0.9", "pyarrow>=15", "duckdb>=1.1", "obstore>=0.8",
    "boto3", "moto[s3,server]>=5,<6",
)  # fmt: skip


def test_every_place() -> None:
    run_tests(installed("lake", *_PACKAGES), "tests/integration/lake/places.py")
