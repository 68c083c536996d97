"""Which files are traffic: keys in paths, tables that keep old files, what lies beside, how they are written."""

from __future__ import annotations

import gzip
import json
import os

import pytest

from costlens_policy.replay import READY, Settings, TrafficError, find_files, read_traffic, replay, replay_files
from costlens_policy.replay.traffic.places import look_for, partition_of
from costlens_policy.replay.traffic.sources import read_file
from tests.replay.columns.traffic import facts
from tests.replay.conftest import call

CSV = "time,prompt_tokens,output_tokens,model\n2026-06-01T10:00:00Z,10,1,large\n"


def test_keys_in_paths_are_columns(plan_of, tmp_path):
    pl = pytest.importorskip("polars", reason="Parquet needs the extra `replay`")
    for kind, team in (("jsonl", "a%20b"), ("csv", "c"), ("parquet", "d"), ("csv", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "log" / f"team={team}" / "day=2026-06-01"
        folder.mkdir(parents=True)
        rows = [call(model="large", id=f"{team}{n}") for n in range(3)]
        if kind == "jsonl":
            (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        elif kind == "csv":
            pl.DataFrame(rows).write_csv(folder / "p.csv")
        else:
            pl.DataFrame(rows).write_parquet(folder / "p.parquet")
    mapping = READY["plain"].with_columns({"request.team": "team"}, {})
    plan, files = plan_of(), find_files([str(tmp_path / "log")])
    traffic = read_traffic(files, mapping, plan, Settings().start)
    assert {row.attributes.get("team") for row in traffic.rows} == {"a b", "c", "d", None}
    assert facts(replay_files(plan, files, mapping, Settings())) == facts(replay(plan, traffic, Settings()))


def test_a_column_of_the_file_goes_before_a_key_in_its_path(plan_of, tmp_path):
    pl = pytest.importorskip("polars", reason="Parquet needs the extra `replay`")
    folder = tmp_path / "team=a"
    folder.mkdir()
    rows = [call(team="b"), call(team=None)]
    (folder / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pl.DataFrame(rows).write_parquet(folder / "p.parquet")
    mapping = READY["plain"].with_columns({"request.team": "team"}, {})
    plan = plan_of()
    for name in ("p.jsonl", "p.parquet"):
        traffic = read_traffic([str(folder / name)], mapping, plan, Settings().start)
        assert [row.attributes["team"] for row in traffic.rows] == ["b", "a"]
        got = replay_files(plan, [str(folder / name)], mapping, Settings())
        assert facts(got) == facts(replay(plan, traffic, Settings()))


def test_escapes_in_paths():
    assert partition_of("x/team=a%2Fb/day%20of=1/f.csv") == {"team": "a/b", "day of": "1"}
    assert partition_of("x=y.csv") == partition_of("-") == {}


@pytest.mark.parametrize(
    ("mark", "kind"),
    [("_delta_log/0.json", "Delta"), ("metadata/v1.metadata.json", "Iceberg"), (".hoodie/hoodie.properties", "Hudi")],
)
@pytest.mark.parametrize("pattern", ["table", ".", "table/data", "table/data/*.csv", "**/*.csv"])
def test_tables_that_keep_old_files_are_refused(tmp_path, monkeypatch, mark, kind, pattern):
    monkeypatch.chdir(tmp_path)
    for name, text in ((f"table/{mark}", "{}"), ("table/data/a.csv", CSV)):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(TrafficError, match=f"is in {kind} format.*; pass (`delta:|`iceberg:|each current file)"):
        find_files([pattern])
    assert find_files(["table/data/a.csv"]) == ("table/data/a.csv",)


def test_what_lies_beside_is_told_and_nothing_is_read_twice(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.csv", "b.xlsx", "_SUCCESS", ".a.csv.crc", "_temporary/c.csv", ".d.csv", "e.csv~", "in/f.JSON"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CSV)
    os.symlink("a.csv", "z.csv")
    found = look_for([".", "./a.csv", str(tmp_path / "a.csv"), "*.csv"])
    assert found.files == ("a.csv", "in/f.JSON") or set(found.files) == {"./a.csv", "./in/f.JSON"}
    assert any("b.xlsx" in name for name in found.skipped)
    assert any("z.csv (the same as" in name for name in found.skipped)
    (tmp_path / "only").mkdir()
    (tmp_path / "only/x.txt").write_text("")
    with pytest.raises(TrafficError, match=r"no traffic in `only`.*found only `only/x.txt`"):
        find_files(["only"])


def test_a_file_beside_itself_packed_is_refused(tmp_path):
    for name in ("a.csv", "a.csv.gz", "b.csv"):
        (tmp_path / name).write_bytes(gzip.compress(CSV.encode()) if name.endswith("gz") else CSV.encode())
    for pattern in (str(tmp_path), f"{tmp_path}/*"):
        with pytest.raises(TrafficError, match=r"a\.csv` and `.*a\.csv\.gz` seem to contain the same rows"):
            find_files([pattern])
    assert len(find_files([str(tmp_path / "a.csv"), str(tmp_path / "a.csv.gz")])) == 2


WRITTEN = {
    "semicolons": CSV.replace(",", ";").encode(),
    "tabs": CSV.replace(",", "\t").encode(),
    "Excel's mark": b"sep=;\r\n" + CSV.replace(",", ";").replace("\n", "\r\n").encode(),
    "UTF-16": CSV.encode("utf-16"),
    "UTF-16 without a mark": CSV.encode("utf-16-le"),
    "UTF-16 the other way": CSV.encode("utf-16-be"),
    "a mark": CSV.encode("utf-8-sig"),
    "old line ends": CSV.replace("\n", "\r").encode(),
    "empty lines": CSV.replace("\n", "\n,,,\n\n").encode(),
    "packed": gzip.compress(CSV.encode()),
    "JSON": json.dumps([call("10:00:00", prompt_tokens=10, output_tokens=1, model="large")], indent=1).encode("utf-16"),
}


@pytest.mark.parametrize("way", WRITTEN)
@pytest.mark.parametrize("name", ["t.csv", "t.log"])
def test_ways_of_writing(plan_of, tmp_path, way, name):
    name = name.replace("csv", "json") if way == "JSON" else name
    (tmp_path / name).write_bytes(WRITTEN[way])
    traffic = read_traffic([str(tmp_path / name)], READY["plain"], plan_of(), Settings().start)
    assert [(row.prompt_tokens, row.output_tokens, row.model) for row in traffic.rows] == [(10, 1, "large")]
    assert not traffic.rejects


@pytest.mark.parametrize(
    ("head", "what"),
    [(b"PK\x03\x04xx", "Excel or ZIP"), (b"Obj\x01", "Avro"), (b"ORC", "ORC"), (b"ARROW1", "Arrow"),
     (b"SQLite format 3\0", "SQLite"), (b"BZh9", "bzip2"), (b"\xd0\xcf\x11\xe0", "Excel")],
)  # fmt: skip
def test_other_formats_are_named(tmp_path, head, what):
    (tmp_path / "t.csv").write_bytes(head)
    with pytest.raises(TrafficError, match=what):
        list(read_file(str(tmp_path / "t.csv")))


def test_bytes_that_are_no_text_are_told(tmp_path):
    notes = []
    (tmp_path / "t.csv").write_bytes(CSV.encode() + "2026-06-01T10:00:00Z,10,1,größe\n".encode("latin-1"))
    assert len(list(read_file(str(tmp_path / "t.csv"), notes.append))) == 2
    assert "1 rows" in notes[0]
