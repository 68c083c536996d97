"""Keys: who is let in, what is kept of a key, and how a change reaches a running service."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime

import pytest
from click.testing import CliRunner

from costlens_policy import InputError
from costlens_policy.cli.app import app
from costlens_policy.service.keys import KeyFile, Keys, Scope
from costlens_policy.service.settings import Open
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import Asked

NOW = datetime(2026, 5, 10, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path):
    return KeyFile(tmp_path / "keys.json")


def test_a_key_is_found_by_its_secret_alone(keys):
    key = keys.add("gateway", [Scope.DECIDE], NOW)
    known = Keys(keys.read())
    assert known.find(key.encode()).name == "gateway"
    for other in ("", "clp_", "clp_gateway_", key[:-1], key + "x", key.upper(), "clp_other_" + key[12:], "\udcff"):
        assert known.find(other.encode(errors="surrogateescape")) is None, other


def test_the_file_holds_no_key_and_is_for_its_owner(keys):
    key = keys.add("gateway", [Scope.DECIDE], NOW)
    assert key.rpartition("_")[2] not in keys.path.read_text()
    assert keys.path.stat().st_mode & 0o077 == 0


def test_names_are_taken_once_and_revoked_by_name(keys):
    keys.add("gateway", [Scope.DECIDE], NOW)
    with pytest.raises(InputError, match="already"):
        keys.add("gateway", [Scope.ADMIN], NOW)
    with pytest.raises(InputError, match="lower-case"):
        keys.add("Gate way", [Scope.ADMIN], NOW)
    with pytest.raises(InputError, match="there are `gateway`"):
        keys.revoke("other")
    keys.revoke("gateway")
    assert keys.read() == ()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"keys": 3}', '{"keys": [3]}', '{"keys": [{"name": "a"}]}',
        '{"keys": [{"name": "a", "scopes": ["all"], "sha256": "", "created_at": "2026-01-01"}]}',
        '{"keys": [{"name": "a", "scopes": ["admin"], "sha256": "00", "created_at": "2026-01-01"}]}',
        '{"keys": [{"name": 1, "scopes": ["admin"], "sha256": "' + "0" * 64 + '", "created_at": "2026-01-01"}]}',
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_refused(keys, text):
    keys.path.write_text(text)
    with pytest.raises(InputError, match=r"keys\.json"):
        keys.read()


def test_scopes_open_what_they_say(tmp_path, keys):
    write_company(tmp_path / "policies", TEAM)
    made = {scope: keys.add(scope.value, [scope], NOW) for scope in Scope}
    with Asked(tmp_path / "policies", keys=keys.path) as asked:

        def status(method, path, body, scope):
            ask = asked.ask(method, path, body, key=made.get(scope, ""))
            return asked.loop.run_until_complete(ask).status

        for path in ("/v1/decide", "/v1/reserve", "/v1/nothing", "/health", "/metrics", "/openapi.json"):
            assert status("POST", path, {"request": REQUEST}, None) == 401, path
        body = {"request": REQUEST}
        assert [status("POST", "/v1/decide", body, scope) for scope in Scope] == [200, 403, 200]
        assert [status("POST", "/v1/reserve", body, scope) for scope in Scope] == [403, 200, 200]
        assert [status("GET", "/metrics", b"", scope) for scope in Scope] == [403, 403, 200]
        assert [status("GET", "/health", b"", scope) for scope in Scope] == [200, 200, 200]
        wrong = asked.post("/v1/decide", body, key="clp_decide_wrong")
        assert (wrong.status, wrong.headers["www-authenticate"]) == (401, "Bearer")


def test_health_answers_without_a_key_where_that_is_said(tmp_path, keys):
    write_company(tmp_path / "policies", TEAM)
    keys.add("a", [Scope.DECIDE], NOW)
    with Asked(tmp_path / "policies", keys=keys.path, open=frozenset({Open.HEALTH})) as asked:
        assert asked.get("/health").status == 200
        assert asked.get("/metrics").status == 401


def test_a_revoked_key_is_refused_soon_and_a_broken_file_changes_nothing(tmp_path, keys, caplog):
    write_company(tmp_path / "policies", TEAM)
    key = keys.add("a", [Scope.DECIDE], NOW)
    with Asked(tmp_path / "policies", keys=keys.path) as asked:
        good = keys.path.rename(tmp_path / "good.json")
        keys.path.write_text("nonsense")
        _until(lambda: "the keys stay as they were" in caplog.text, asked)
        assert asked.post("/v1/decide", {"request": REQUEST}, key=key).status == 200
        assert "file of keys" in asked.get("/ready", key=key).json["problems"][0]
        good.rename(keys.path)  # the very same file is back
        _until(lambda: asked.get("/ready", key=key).json["problems"] == [], asked)
        keys.path.unlink()
        _until(lambda: asked.get("/ready", key=key).json["problems"] != [], asked)
        asked.loop.run_until_complete(asyncio.sleep(2.5))
        assert caplog.text.count("there is no file of keys") == 1
        keys.path.write_text('{"keys": []}')
        _until(lambda: asked.post("/v1/decide", {"request": REQUEST}, key=key).status == 401, asked)


def _until(holds, asked):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline
        asked.loop.run_until_complete(asyncio.sleep(0.1))


def test_the_command_adds_lists_and_revokes(tmp_path):
    file = str(tmp_path / "keys.json")
    added = CliRunner().invoke(
        app, [*["keys", "add", "gateway", "--scope", "decide", "--scope", "settle", "--file"], file]
    )
    assert added.exit_code == 0
    assert added.stdout.startswith("clp_gateway_")
    listed = CliRunner().invoke(app, ["keys", "list", "--file", file, "--format", "json"])
    assert [(row["name"], row["scopes"]) for row in json.loads(listed.stdout)] == [("gateway", ["decide", "settle"])]
    assert CliRunner().invoke(app, ["keys", "revoke", "gateway", "--file", file]).exit_code == 0
    assert CliRunner().invoke(app, ["keys", "list", "--file", file]).stdout == ""
    missing = CliRunner().invoke(app, ["keys", "list", "--file", str(tmp_path / "none.json")])
    assert missing.exit_code == 6
    assert "keys add" in missing.stderr
