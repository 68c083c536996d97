"""Rows of queries on a real PostgreSQL: those of a file with the same rows, read only, and with no secret told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from costlens_policy import load
from costlens_policy.replay import READY, Settings, TrafficError, replay_files
from costlens_policy.replay.fetch import databases
from costlens_policy.replay.fetch.databases import fetch_postgresql
from costlens_policy.replay.settings import Silent
from costlens_policy.replay.stream.run import identity_of
from costlens_policy.replay.traffic.copies import local
from costlens_policy.replay.traffic.places import look_for, partition_of
from costlens_policy.replay.traffic.recognition import recognized
from tests.ledger.servers import postgresql_server
from tests.replay.conftest import SHARED, folder_of

_TABLE = """
CREATE TABLE "LiteLLM_SpendLogs" (
  request_id text PRIMARY KEY, call_type text NOT NULL, api_key text NOT NULL DEFAULT '',
  spend double precision NOT NULL,
  total_tokens integer NOT NULL, prompt_tokens integer NOT NULL, completion_tokens integer NOT NULL,
  "startTime" timestamp(3) NOT NULL, "endTime" timestamp(3) NOT NULL, "completionStartTime" timestamp(3),
  model text NOT NULL, model_group text, custom_llm_provider text, "user" text, metadata jsonb, cache_hit text,
  request_tags jsonb, team_id text, end_user text, messages jsonb, response jsonb, session_id text, status text
)
"""
_ROW = """
INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, spend, total_tokens, prompt_tokens, completion_tokens,
  "startTime", "endTime", model, "user", metadata, team_id, session_id)
SELECT 'chatcmpl-' || n, 'acompletion', n * 0.000125, 1000 + n, 1000, n,
  timestamp '2026-05-01' + n * interval '1 minute',
  timestamp '2026-05-01' + n * interval '1 minute' + interval '2 seconds', 'large', 'u' || n % 3,
  jsonb_build_object('usage_object', jsonb_build_object('prompt_tokens', 1000, 'completion_tokens', n,
    'prompt_tokens_details', jsonb_build_object('cached_tokens', 100))), 'team-' || n % 2, 's' || n % 5
FROM generate_series(1, 200) AS n
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with postgresql_server() as server:
        with psycopg.connect(server.address) as connection:
            connection.execute(_TABLE)
            connection.execute(_ROW)
            connection.execute("CREATE TABLE twice (a integer, b text)")
        yield server.address


def test_the_spend_logs_of_a_proxy_are_replayed_by_one_address(url: str, tmp_path: Path) -> None:
    """With the figures of the same rows from a file, and recognized without a mapping."""
    plan = load(folder_of(tmp_path / "p", "", SHARED)).plan
    (name,) = look_for([f"{url}#LiteLLM_SpendLogs"]).files
    mapping = recognized([name], {}, {})
    assert mapping.name == "litellm"
    far = replay_files(plan, [name], READY["litellm"], Settings())
    file = tmp_path / "calls.jsonl"
    with psycopg.connect(url) as connection:
        rows = connection.execute('SELECT row_to_json(t) FROM "LiteLLM_SpendLogs" t').fetchall()
    file.write_text("".join(f"{json.dumps(row)}\n" for (row,) in rows))
    near = replay_files(plan, [str(file)], READY["litellm"], Settings())
    assert far.rows == 200
    assert {**far.to_dict(), "files": ()} == {**near.to_dict(), "files": ()}
    assert far.logged_cost == Decimal("2.5125")


def test_a_query_and_a_file_of_one(url: str, tmp_path: Path) -> None:
    query = "SELECT * FROM \"LiteLLM_SpendLogs\" WHERE team_id = 'team-1' AND 1 / 1 = 1 ORDER BY 1"
    (tmp_path / "calls.sql").write_text(query)
    for given in (query, str(tmp_path / "calls.sql")):
        (name,) = look_for([f"{url}#{given}"]).files
        assert len(Path(local(name)).read_text().splitlines()) == 100
        assert partition_of(name) == {}


def test_secrets_are_told_nowhere(url: str) -> None:
    secret = url.replace("postgres@", "postgres:hunter2@") + "?password=hunter2&application_name=x"
    name = fetch_postgresql(f"{secret}#twice", Silent())
    assert "hunter2" not in name
    assert name.endswith("application_name=x#twice")
    for wrong in ("absent_table", "SELECT", ""):
        with pytest.raises(TrafficError) as raised:
            fetch_postgresql(f"{secret}#{wrong}", Silent())
        assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ("INSERT INTO twice VALUES (1, 'x') RETURNING *", "cannot be read"),
        ("DELETE FROM twice", "cannot be read"),
        ("absent_table", 'relation "absent_table" does not exist'),
        ("SELECT 1 AS a, 2 AS a", "two columns `a`"),
        ("nowhere.sql", "`nowhere.sql` cannot be read"),
        ("", "names no rows"),
        ("  ", "names no rows"),
    ],
)
def test_what_cannot_be_read_is_refused(url: str, query: str, problem: str) -> None:
    with pytest.raises(TrafficError, match=problem):
        look_for([f"{url}#{query}"])


def test_functions_that_write_do_not(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE FUNCTION sneaks() RETURNS integer LANGUAGE sql AS 'INSERT INTO twice VALUES (1, ''x'') RETURNING 1'"
        )
    with pytest.raises(TrafficError, match="read-only transaction"):
        look_for([f"{url}#SELECT sneaks()"])


def test_a_server_that_is_away_is_refused() -> None:
    with pytest.raises(TrafficError, match="cannot be read"):
        look_for(["postgresql://ann:hunter2@127.0.0.1:1/db?connect_timeout=2#calls"])


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://ann:se/cret@127.0.0.1:1/db#calls",
        "postgresql://ann:1/cret@127.0.0.1:1/db#calls",
        "postgresql://ann:se#cret@127.0.0.1:1/db#calls",
        "postgresql://ann:1#cret@127.0.0.1:1/db#calls",
        "postgresql://ann:se%zzcret@127.0.0.1:1/db#calls",
        "postgresql://ann:secret@[::1/db#calls",
        "postgresql:host=127.0.0.1 password=secret#calls",
        "postgresql://127.0.0.1:1/db?password=cret&connect_timeout=2#calls",
    ],
)
def test_secrets_of_damaged_addresses_are_told_nowhere(address: str) -> None:
    with pytest.raises(TrafficError) as raised:
        look_for([address])
    assert "cret" not in str(raised.value)


@pytest.mark.parametrize(
    "hosts", ["h", "h:5432", "ann@h:5432", "ann:x@h,g:1", "h:1,g:2", "[::1]:5432", "ann:x@[::1]", ""]
)
def test_addresses_that_are_right_are_taken(hosts: str) -> None:
    for query in ("calls", "SELECT '@'", "SELECT a FROM b WHERE c = 'x@y/z#'"):
        for path in ("", "/db"):
            databases._check_url(f"postgresql://{hosts}{path}#{query}")


def test_the_same_rows_are_the_same_traffic(url: str, tmp_path: Path) -> None:
    """So a replay of a query can be resumed, as long as the rows stay."""
    plan, found = load(folder_of(tmp_path / "p", "", SHARED)).plan, []
    for kept in (2, 2, 1):
        with psycopg.connect(url) as connection:
            connection.execute(f"CREATE OR REPLACE VIEW few AS SELECT generate_series(1, {kept}) AS a")
        (name,) = look_for([f"{url}#SELECT a FROM few ORDER BY a"]).files
        found.append(identity_of(plan, READY["litellm"], Settings(), [name])["traffic"])
    assert found[0] == found[1] != found[2]
