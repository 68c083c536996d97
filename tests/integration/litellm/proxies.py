"""Real proxies of LiteLLM, on free ports of this machine, with policies, an upstream, and keys that tests choose."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from costlens_policy.integrations.litellm.versions import NEWEST, OLDEST
from tests.ledger.servers import _free_port

__all__ = [
    "ROOT",
    "VERSIONS",
    "Answer",
    "Proxy",
    "ask",
    "installed",
    "running_proxy",
    "running_upstream",
    "write_policies",
]

ROOT: Final = Path(__file__).resolve().parents[3]
VERSIONS: Final = tuple(".".join(map(str, version)) for version in (OLDEST, NEWEST))
_PATIENCE: Final = 120.0
_KEYS: Final = '''
from litellm.proxy._types import UserAPIKeyAuth


async def authenticate(request, api_key):
    """A key is the name of its team and user: `red/ann`."""
    team, _, user = api_key.removeprefix("sk-").partition("/")
    return UserAPIKeyAuth(api_key=api_key, team_id=team, user_id=user or None, key_alias=f"key of {team}")
'''
_CATALOGUE: Final = """
apiVersion: costlens-policy/v1
kind: Catalogue
metadata: {name: catalogue, version: "1"}
models:
  nano: {provider: openai, capabilities: [tools], prices: [{usd_per_million_tokens: {input: 1, output: 2}}]}
  mini: {provider: openai, capabilities: [tools], prices: [{usd_per_million_tokens: {input: 2, output: 8}}]}
  haiku: {provider: anthropic, capabilities: [tools], prices: [{usd_per_million_tokens: {input: 3, output: 15}}]}
  embed: {provider: openai, capabilities: [], prices: [{usd_per_million_tokens: {input: 0.5, output: 0}}]}
"""
_SET: Final = """
apiVersion: costlens-policy/v1
kind: PolicySet
metadata: {name: set, version: "1"}
policies: [policy.yaml]
catalogues: [catalogue.yaml]
attributes:
  key_alias: {type: string, description: alias of the key}
  call_type: {type: string, description: which API}
defaults: {access: allow, route: {model: nano, fallbacks: [mini]}, max_output_tokens: 100}
"""
POLICY: Final = """
apiVersion: costlens-policy/v1
kind: Policy
metadata: {name: p, version: "1"}
access:
  - id: no-secrets
    effect: deny
    when: request.?feature.orValue("") == "forbidden"
    reason: this feature may not use models
on_error: deny
routes:
  - id: embeddings
    when: request.?call_type.orValue("") == "embeddings"
    model: embed
  - id: asked
    when: has(request.asked_model)
    model_from: request.asked_model.name
    fallbacks: [mini]
budgets:
  - id: team
    scope: request.?team.orValue("nobody")
    hard_limit_usd: LIMIT
    window: {calendar: month}
"""


def installed(version: str) -> Path:
    """Return the Python of an environment with one version of LiteLLM, and what we depend on, which is made once."""
    folder = ROOT / "build" / f"litellm-{version}"
    python, done = folder / "bin" / "python", folder / ".installed"
    if not done.exists():
        project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        needed = [*project["dependencies"], *project["optional-dependencies"]["redis"]]
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"litellm[proxy]=={version}", *needed], check=True)
        done.touch()
    return python


def write_policies(folder: Path, limit: str = "1", policy: str = POLICY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalogue.yaml").write_text(_CATALOGUE, encoding="utf-8")
    (folder / "policy-set.yaml").write_text(_SET, encoding="utf-8")
    (folder / "policy.yaml").write_text(policy.replace("LIMIT", limit), encoding="utf-8")
    return folder


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: Mapping[str, str] = field(default_factory=dict)


def ask(
    url: str,
    path: str,
    body: Any,
    key: str = "sk-red/ann",
    headers: Mapping[str, str] | None = None,
    timeout: float = 60,
) -> Answer:
    """Send a request; a body that is no JSON comes back as text."""
    data = None if body is None else json.dumps(body).encode()
    sent = {"content-type": "application/json", "authorization": f"Bearer {key}", **(headers or {})}
    request = urllib.request.Request(url + path, data, sent)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            status, text, got = response.status, response.read().decode(), dict(response.headers)
    except urllib.error.HTTPError as error:
        status, text, got = error.code, error.read().decode(), dict(error.headers)
    with suppress(ValueError):
        return Answer(status, json.loads(text), got)
    return Answer(status, text, got)


@dataclass(frozen=True)
class Proxy:
    url: str
    log: Path
    process: subprocess.Popen[bytes]


@contextmanager
def running_upstream() -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "tests.integration.litellm.upstream", str(port)]
    with _running(command, ROOT, ROOT / "build" / f"upstream-{port}.log", {}) as process:
        url = f"http://127.0.0.1:{port}"
        _wait(process, ROOT / "build" / f"upstream-{port}.log", lambda: ask(url, "/served", None).status == 200)
        yield url


@contextmanager
def running_proxy(
    python: Path,
    folder: Path,
    upstream: str,
    settings: Mapping[str, Any],
    *,
    more: Mapping[str, Any] | None = None,
    models: list[dict[str, Any]] | None = None,
    arguments: tuple[str, ...] = (),
    environment: Mapping[str, str] | None = None,
    section_last: bool = False,
    patience: float = _PATIENCE,
) -> Iterator[Proxy]:
    """Run a proxy whose groups are `fast`, `mini`, `claude` and `embed`, with the callback and its settings."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keys.py").write_text(_KEYS, encoding="utf-8")
    config = {
        "model_list": models or model_list(upstream),
        "litellm_settings": {
            "costlens_policy": dict(settings),
            "callbacks": "costlens_policy.integrations.litellm.callback",
            **(more or {}).get("litellm_settings", {}),
        },
        "general_settings": {"custom_auth": "keys.authenticate", **(more or {}).get("general_settings", {})},
        "router_settings": {"num_retries": 0, "disable_cooldowns": True, **(more or {}).get("router_settings", {})},
    }
    if (more or {}).get("plain"):
        del config["litellm_settings"]["callbacks"], config["litellm_settings"]["costlens_policy"]
    if section_last:
        section = config["litellm_settings"].pop("costlens_policy")
        config["litellm_settings"]["costlens_policy"] = section
    (folder / "config.yaml").write_text(json.dumps(config), encoding="utf-8")
    port = _free_port()
    command = [str(python.parent / "litellm"), "--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
    command += ["--port", str(port), *arguments]
    log = folder / f"proxy-{port}.log"
    known = {
        "PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "COSTLENS_POLICY_CACHE": "off",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": "sk-" + "0123456789abcdef" * 4,
        "OPENAI_API_BASE": upstream,
        "OPENAI_API_KEY": "sk-upstream",
        "ANTHROPIC_API_BASE": upstream,
        "ANTHROPIC_API_KEY": "sk-upstream",
        **(environment or {}),
    }
    with _running(command, folder, log, known) as process:
        url = f"http://127.0.0.1:{port}"
        _wait(process, log, lambda: ask(url, "/health/liveliness", None).status == 200, patience)
        yield Proxy(url, log, process)


def model_list(upstream: str) -> list[dict[str, Any]]:
    groups = (
        ("fast", "openai/gpt-nano", "/v1", "nano"),
        ("mini", "openai/mini", "/v1", None),
        ("claude", "anthropic/haiku", "", None),
        ("embed", "openai/embed", "/v1", None),
    )
    rows = []
    for group, model, path, named in groups:
        row: dict[str, Any] = {
            "model_name": group,
            "litellm_params": {"model": model, "api_base": upstream + path, "api_key": "sk-upstream"},
        }
        if named is not None:
            row["model_info"] = {"costlens_model": named}
        rows.append(row)
    return rows


@contextmanager
def _running(
    command: list[str], folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdout=out,
            stderr=out,
            env={**os.environ, **environment},
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with suppress(ProcessLookupError):  # workers that outlived it
            os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Let Linux end the process with the one that started it, even if that is killed (prctl, PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _wait(process: subprocess.Popen[bytes], log: Path, is_up: Any, patience: float = _PATIENCE) -> None:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with suppress(OSError):
            if is_up():
                return
        time.sleep(0.1)
    end_of_log = log.read_text(encoding="utf-8", errors="replace")[-20_000:]
    raise RuntimeError(f"{process.args!r} did not start:\n{end_of_log}")
