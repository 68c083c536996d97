"""docs/service.md: its session is run, and it names every endpoint, option, code and metric."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import subprocess

import pytest

from costlens_policy.cli.commands.keys import command as keys
from costlens_policy.cli.commands.serve import command as serve
from costlens_policy.service.application import _TEXTS
from costlens_policy.service.endpoints import ENDPOINTS
from tests.conftest import ROOT
from tests.docs.walkthrough import blocks, walk
from tests.service.asking import running

PAGE = (ROOT / "docs" / "service.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    walk(PAGE, folder, only_commands=True)
    with running(str(ROOT / "policies"), "--ledger", "sqlite:///spend.db", folder=folder, key=True) as service:
        service.folder = folder
        yield service


def _includes(actual, shown, place="answer"):
    """Assert that an answer has what the page shows of it."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            _includes(actual[name], value, f"{place}.{name}")
    elif isinstance(shown, list):
        for number, value in enumerate(shown):
            _includes(actual[number], value, f"{place}[{number}]")
    else:
        assert actual == shown, place


def test_the_session(service):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    session = PAGE.partition("## A session")[2].partition("## Endpoints")[0]
    environment = os.environ | {"KEY": (service.folder / "gateway.key").read_text().strip()}
    asked = 0
    command = ""
    for block in blocks(session):
        if block.language == "text":
            command = block.text.removeprefix("$ ").replace("localhost:8181", f"127.0.0.1:{service.port}")
            continue
        ran = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
        _includes(json.loads(ran.stdout), json.loads(block.text))
        asked += 1
    assert asked == 4


def test_the_client_of_python(service):
    pytest.importorskip("httpx")
    (code,) = (block.text for block in blocks(PAGE) if block.language == "python")
    printed = io.StringIO()
    with contextlib.chdir(service.folder), contextlib.redirect_stdout(printed):
        exec(compile(code.replace(":8181", f":{service.port}"), "service.md", "exec"), {})
    assert printed.getvalue() == "support-summarizer Hi\n"


def test_every_endpoint_option_and_code_is_there(service):
    for endpoint in ENDPOINTS:
        scope = "any" if endpoint.scope is None else f"`{endpoint.scope}`"
        assert f"| `{endpoint.method} {endpoint.path}` | {scope} |" in PAGE
    for path in _TEXTS:
        assert f"| `GET {path}` |" in PAGE
    for parameter in serve.params:
        for name in parameter.opts:
            assert not name.startswith("--") or name == "--debug" or f"`{name}" in PAGE, name
    assert set(keys.commands) == {"add", "list", "revoke"}
    sources = [path.read_text() for path in (ROOT / "costlens_policy").glob("service/application.py")]
    sources.append((ROOT / "costlens_policy" / "integrations" / "refusals.py").read_text())
    for code in re.findall(r'Refusal\(\s*\d+,\s*"\w+",\s*"(\w+)"', "".join(sources)):
        assert f"`{code}`" in PAGE, code
    metrics = (ROOT / "costlens_policy" / "service" / "metrics.py").read_text()
    for name in re.findall(r'"(costlens_policy_\w+)"', metrics):
        assert f"`{name}" in PAGE, name


def test_the_unit_of_systemd_is_right(tmp_path):
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    text = (ROOT / "deploy" / "costlens-policy.service").read_text()
    unit = tmp_path / "costlens-policy.service"
    unit.write_text(
        text.replace("/opt/costlens-policy/bin/costlens-policy", "/bin/true").replace("=costlens\n", "=root\n")
    )
    ran = subprocess.run([program, "verify", str(unit)], capture_output=True, text=True)
    about = [line for line in ran.stderr.splitlines() if "costlens-policy" in line]
    assert (ran.returncode, about) == (0, []), ran.stderr
    line = re.search(r"ExecStart=\S+ serve (.*?)\nUser", text, re.DOTALL)
    serve.make_context("serve", line[1].replace("\\\n", "").split())
