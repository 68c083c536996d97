"""Objects of a store are read as files are: by name, folder and glob, each as it was when it was found."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from costlens_policy import load
from costlens_policy.replay import READY, Settings, TrafficError, replay_files
from costlens_policy.replay.fetch import objects
from costlens_policy.replay.fetch.addresses import is_elsewhere
from costlens_policy.replay.settings import Silent
from costlens_policy.replay.stream.run import identity_of
from costlens_policy.replay.traffic.copies import copy_of, local
from costlens_policy.replay.traffic.places import look_for, partition_of
from tests.replay.conftest import SHARED, folder_of

ROWS = "time,model,prompt_tokens,output_tokens\n" + "".join(
    f"2026-05-01T{hour:02}:00:00Z,large,1000,{hour}\n" for hour in range(24)
)
_BUCKETS = count()


class Bucket:
    """A bucket in memory; ``url`` is that of a key."""

    def __init__(self) -> None:
        from obstore.store import MemoryStore

        self.root = f"s3://bucket-{next(_BUCKETS)}"
        self.store: Any = MemoryStore()

    def url(self, key: str = "") -> str:
        return f"{self.root}/{key}"

    def put(self, *keys: str, content: bytes = ROWS.encode()) -> None:
        for key in keys:
            self.store.put(key, content)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    made = Bucket()
    monkeypatch.setattr(objects, "open_store", lambda url, timeout: made.store)
    return made


def test_a_name_a_folder_and_globs(bucket: Bucket) -> None:
    bucket.put("logs/a.csv", "logs/dt=2026-05-01/b.csv", "logs/dt=2026-05-02/team=x/c.csv", "logs/read.me", "logs.csv")
    named = {
        "logs.csv": ["logs.csv"],
        "logs": ["logs/a.csv", "logs/dt=2026-05-01/b.csv", "logs/dt=2026-05-02/team=x/c.csv"],
        "logs/": ["logs/a.csv", "logs/dt=2026-05-01/b.csv", "logs/dt=2026-05-02/team=x/c.csv"],
        "logs/*.csv": ["logs/a.csv"],
        "logs/**/*.csv": ["logs/a.csv", "logs/dt=2026-05-01/b.csv", "logs/dt=2026-05-02/team=x/c.csv"],
        "logs/dt=2026-05-0[1-3]/*.csv": ["logs/dt=2026-05-01/b.csv"],
        "log?.csv": ["logs.csv"],
    }
    for given, keys in named.items():
        assert look_for([bucket.url(given)]).files == tuple(map(bucket.url, keys)), given
    assert look_for([bucket.url("logs")]).skipped == (bucket.url("logs/read.me"),)
    assert partition_of(bucket.url("logs/dt=2026-05-02/team=x/c.csv")) == {"dt": "2026-05-02", "team": "x"}


@pytest.mark.parametrize("given", ["none.csv", "none", "none/*.csv", "l?gs/*.parquet"])
def test_nothing_is_never_taken_for_no_traffic(bucket: Bucket, given: str) -> None:
    bucket.put("logs/a.csv")
    with pytest.raises(TrafficError, match="no traffic in"):
        look_for([bucket.url(given)])


def test_what_engines_write_beside_data_is_left_out(bucket: Bucket) -> None:
    bucket.put("logs/a.csv", "logs/_SUCCESS", "logs/_temporary/0/b.csv", "logs/.part.csv.crc")
    assert look_for([bucket.url("logs")]).files == (bucket.url("logs/a.csv"),)
    assert look_for([bucket.url("logs/**")]).files == (bucket.url("logs/a.csv"),)


def test_names_like_globs_and_markers_of_folders(bucket: Bucket) -> None:
    bucket.put("logs/[x].csv", "logs/50% a.csv")
    bucket.put("logs", content=b"")
    bucket.put("logs/day", "logs/day/b.csv", content=b"")
    assert look_for([bucket.url("logs/[x].csv")]).files == (bucket.url("logs/[x].csv"),)
    found = look_for([bucket.url("logs/")])
    assert found.files == tuple(map(bucket.url, ("logs/50% a.csv", "logs/[x].csv", "logs/day/b.csv")))
    assert found.skipped == ()


def test_twins_and_tables_are_refused(bucket: Bucket) -> None:
    bucket.put("twins/a.csv", "twins/a.csv.gz", "d/_delta_log/0.json", "d/a.parquet", "i/metadata/1.metadata.json")
    with pytest.raises(TrafficError, match="the same rows"):
        look_for([bucket.url("twins")])
    for folder, kind in (("d", "Delta"), ("i", "Iceberg")):
        with pytest.raises(TrafficError, match=f"{kind} format"):
            look_for([bucket.url(folder)])


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "jsonl", "parquet"])
def test_the_result_is_that_of_the_file(bucket: Bucket, tmp_path, kind: str) -> None:
    import polars as pl

    plan, file = load(folder_of(tmp_path / "p", "", SHARED)).plan, tmp_path / f"calls.{kind}"
    frame = pl.read_csv(ROWS.encode())
    writers: dict[str, Callable[[], object]] = {
        "csv": lambda: file.write_text(ROWS), "csv.gz": lambda: file.write_bytes(gzip.compress(ROWS.encode())),
        "jsonl": lambda: frame.write_ndjson(file), "parquet": lambda: frame.write_parquet(file),
    }  # fmt: skip
    writers[kind]()
    bucket.put(f"logs/calls.{kind}", content=file.read_bytes())
    files = look_for([bucket.url("logs")]).files
    far, near = (replay_files(plan, names, READY["plain"], Settings()) for names in (files, [str(file)]))
    assert far.rows == 24
    assert {**far.to_dict(), "files": ()} == {**near.to_dict(), "files": ()}


def test_rejects_name_the_object(bucket: Bucket, tmp_path) -> None:
    bucket.put("calls.csv", content=ROWS.encode() + b"2026-05-01T00:00:00Z,large,many,3\n")
    plan = load(folder_of(tmp_path / "p", "", SHARED)).plan
    result = replay_files(plan, look_for([bucket.url("calls.csv")]).files, READY["plain"], Settings())
    assert [(item.file, item.number) for item in result.rejects] == [(bucket.url("calls.csv"), 26)]


def test_an_object_that_changes_amid_a_read_is_refused(bucket: Bucket) -> None:
    bucket.put("calls.csv")
    found = objects.look(bucket.url("calls.csv"))
    bucket.put("calls.csv", content=ROWS.encode() * 2)
    with pytest.raises(TrafficError, match="was changed while it was read"):
        objects.fetch(bucket.url("calls.csv"), found, Silent())
    assert copy_of(bucket.url("calls.csv")) is None


def test_an_object_that_has_changed_is_copied_anew_and_is_other_traffic(bucket: Bucket, tmp_path) -> None:
    plan, name = load(folder_of(tmp_path / "p", "", SHARED)).plan, bucket.url("calls.csv")
    bucket.put("calls.csv")
    look_for([name])
    first, path = identity_of(plan, READY["plain"], Settings(), [name]), local(name)
    look_for([name])
    assert local(name) == path
    assert identity_of(plan, READY["plain"], Settings(), [name]) == first
    bucket.put("calls.csv", content=ROWS.encode() * 2)
    look_for([name])
    assert identity_of(plan, READY["plain"], Settings(), [name]) != first


def test_half_an_object_is_refused(bucket: Bucket) -> None:
    bucket.put("calls.csv")
    found = objects.look(bucket.url("calls.csv"))
    for item in found.objects.values():
        item["size"] += 1  # type: ignore[index]
    with pytest.raises(TrafficError, match=r"has \d+ bytes, of which \d+ came"):
        objects.fetch(bucket.url("calls.csv"), found, Silent())


@pytest.mark.parametrize("given", ["C:\\logs\\a.csv", "a.csv", "logs/2026-05-01T00:00.csv", "-", "a:b.csv"])
def test_paths_of_this_machine(given: str) -> None:
    assert not is_elsewhere(given)


def test_other_places_are_refused() -> None:
    for given in ("ftp://host/a.csv", "https://host/a.csv", "mysql://host/db#calls"):
        with pytest.raises(TrafficError, match="is no place that traffic is read from"):
            look_for([given])
