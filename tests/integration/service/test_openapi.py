"""The service fuzzed from its own OpenAPI document: what it accepts, answers and refuses is as written."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime

from costlens_policy.service.keys import KeyFile, Scope
from tests.conftest import ROOT
from tests.integration.environments import installed
from tests.service.asking import running


def test_the_service_is_what_its_document_says(tmp_path):
    key = KeyFile(tmp_path / "keys.json").add("fuzzer", [Scope.ADMIN], datetime.now(UTC))
    program = installed("schemathesis", "schemathesis>=4,<5").with_name("schemathesis")
    with running(str(ROOT / "policies"), folder=tmp_path, key=True) as service:
        ran = subprocess.run(
            [
                str(program), "run", str(ROOT / "docs" / "openapi.json"), "--no-color", "--seed", "1",
                "--url", f"http://127.0.0.1:{service.port}", "--header", f"Authorization: Bearer {key}",
                "--max-examples", "50",
                # what a request may hold is the policy set's to say, so that valid bodies may be refused
                "--exclude-checks", "positive_data_acceptance",
            ],
            capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout[-5000:] + service.errors.read_text()[-2000:]
        assert "failed" not in service.errors.read_text()
        assert service.get("/ready", key).json["problems"] == []
        assert service.end() == 0
