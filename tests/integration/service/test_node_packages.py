"""The package for Node.js beside packages of others: the real client of OpenAI, and TypeScript."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.guard.company import write_company
from tests.service.asking import running

HERE = Path(__file__).parent
POLICY = """
budgets:
  - {id: team, scope: request.team, hard_limit_usd: 1, window: {calendar: day}}
"""


@pytest.fixture(scope="module", params=[5, 6, 7])
def modules(request: pytest.FixtureRequest) -> Path:
    """Return a folder with packages of the registry, and ours as it is packed; installed once for each version."""
    npm, folder = shutil.which("npm"), ROOT / "build" / f"node-{request.param}"
    if npm is None:
        pytest.skip("npm is not installed")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "node_modules" / "openai").exists():
        (folder / "package.json").write_text('{"private": true}')
        install = [npm, "install", "--silent", "--no-audit", "--no-fund"]
        subprocess.run(
            [*install, f"openai@{request.param}", "typescript@5", "@types/node@20"], cwd=folder, check=True, timeout=600
        )
    packed = subprocess.run(
        [npm, "pack", "--silent", "--pack-destination", str(folder)],
        cwd=ROOT / "clients" / "node", capture_output=True, text=True, check=True,
    )  # fmt: skip
    ours = folder / "node_modules" / "costlens-policy"
    shutil.rmtree(ours, ignore_errors=True)
    ours.mkdir()
    archive = folder / packed.stdout.split()[-1]
    subprocess.run(["tar", "-xzf", str(archive), "--strip-components=1", "-C", str(ours)], check=True)
    return folder


def test_the_client_of_openai_is_decided_held_and_settled(modules, tmp_path):
    write_company(tmp_path / "policies", POLICY, models="nano, mini")
    script = shutil.copy(HERE / "openai_client.mjs", modules)
    with running("policies", folder=tmp_path) as service:
        ran = subprocess.run(
            ["node", "--expose-gc", script],
            cwd=modules,
            env=os.environ | {"COSTLENS_URL": f"http://127.0.0.1:{service.port}"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    call = 10 * 1 + 5 * 2  # millionths of a dollar on `nano`

    def millionths(name):
        assert float(found[name]["held"]) == 0, name
        return round(float(found[name]["used"]) * 1e6)

    assert found["chat"]["text"] == "Hello"
    assert found["chat"]["sent"] == {
        "model": "nano",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 50,
        "temperature": 0,
    }
    assert millionths("chat") == call
    assert found["stream"]["chunks"] == [1, 1]
    assert found["stream"]["asked"] == {"include_usage": True}
    assert millionths("stream") == 2 * call
    assert millionths("left") > 3 * call  # charged what was held
    assert found["responses"]["sent"]["input"] == "Hi"
    assert millionths("responses") == millionths("left") + call
    assert found["embeddings"]["sent"] == {"model": "nano", "input": "Hi"} | _encoding(found)
    assert millionths("embeddings") == millionths("responses") + 10
    assert found["fallback"]["models"] == ["nano", "mini"]
    assert millionths("fallback") == millionths("embeddings") + 10 * 2 + 5 * 8
    assert found["failed"]["status"] == 500
    assert millionths("failed") == millionths("fallback")
    assert found["denied"] == {"isDenied": True, "status": 402, "budget": "p/team"}
    assert found["refused"] == [True] * 4
    assert found["responses_of"] == {
        "withResponse": ["Hello", 200], "asResponse": "Hello", "raw stream": 3, "helper": "Hello", "parsed": "Hello",
        "with options": "Hello", "posted": "Hello", "aborted": "APIUserAbortError",
    }  # fmt: skip
    assert millionths("helpers") == millionths("failed") + 7 * call
    assert found["repeated"]["models"] == ["nano", "nano", "nano"]
    assert millionths("repeated") == millionths("helpers") + call
    assert millionths("cut") > millionths("repeated") + 2 * call  # charged what was held
    assert millionths("dropped") > millionths("cut") + 2 * call


def _encoding(found):
    """Newer clients ask for base64 on their own."""
    sent = found["embeddings"]["sent"]
    return {name: sent[name] for name in ("encoding_format",) if name in sent}


def test_its_types_hold(modules):
    script = shutil.copy(HERE / "types.ts", modules)
    for module, resolution in (("nodenext", "nodenext"), ("esnext", "bundler")):
        ran = subprocess.run(
            [
                "node", "node_modules/typescript/bin/tsc", "--noEmit", "--strict", "--target", "es2022",
                "--module", module, "--moduleResolution", resolution, "--types", "node", script,
            ],
            cwd=modules, capture_output=True, text=True,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout
