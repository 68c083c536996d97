"""What a service serves: folders, bundles and repositories; and what it logs."""

from __future__ import annotations

import json
import time

from costlens_policy.bundles import build
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import Asked

USAGE = {"prompt_tokens": 1000, "completion_tokens": 100}


def test_a_bundle_is_served_and_replaced(tmp_path):
    folder, path = tmp_path / "policies", tmp_path / "p.bundle"
    write_company(folder, TEAM)
    path.write_bytes(build(folder).packed)
    write_company(folder, TEAM, models="mini")
    second = build(folder)
    with Asked(path) as service:
        assert service.post("/v1/decide", {"request": REQUEST}).json["model"] == "nano"
        path.write_bytes(second.packed)
        for _ in range(600):
            if service.post("/v1/decide", {"request": REQUEST}).json["model"] == "mini":
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the new bundle was never served")


def test_decisions_and_charges_are_logged(tmp_path):
    write_company(tmp_path / "policies", TEAM)
    log = tmp_path / "decisions.jsonl"
    with Asked(tmp_path / "policies", decision_log=log) as service:
        service.post("/v1/decide", {"request": REQUEST})
        service.post("/v1/decide/batch", {"requests": [REQUEST, REQUEST]})
        reserved = service.post("/v1/reserve", {"request": REQUEST, "id": "job"}).json
        service.post("/v1/settle", {"id": reserved["id"], "usage": USAGE})
        service.post("/v1/reserve", {"request": REQUEST | {"max_output_tokens": 90_000}})
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["kind"] for entry in entries] == ["decision"] * 3 + ["hold", "charge", "decision"]
    assert entries[4]["id"] == "job"
    assert "Hello" not in log.read_text()
