"""The GitHub action: what it runs, writes as a comment and exits with, on a repository and an API of this machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ACTION = ROOT / "action"


class _Api(ThreadingHTTPServer):
    """Comments of one pull request, as GitHub's API lists and takes them. ``status`` is what writing answers."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.comments: list[dict[str, Any]] = [{"id": 1, "body": "looks good"}]
        self.status = 201

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Api

    def do_GET(self) -> None:
        assert self.path.startswith("/repos/acme/llm/issues/7/comments?")
        page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
        self._answer(200, self.server.comments[100 * (page - 1) : 100 * page])

    def do_POST(self) -> None:
        if self.server.status == 201:
            self.server.comments.append({"id": 1000, "body": self._sent()["body"], "user": {"type": "Bot"}})
        self._answer(self.server.status, {})

    def do_PATCH(self) -> None:
        number = int(self.path.rpartition("/")[2])
        next(item for item in self.server.comments if item["id"] == number)["body"] = self._sent()["body"]
        self._answer(200, {})

    def _sent(self) -> Any:
        assert self.headers["Authorization"] == "Bearer secret-token"
        return json.loads(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, status: int, data: Any) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[_Api]:
    with _Api() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join(10)


def _git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> tuple[Path, str]:
    """Return a shallow checkout of a branch whose base is not in it, and the base."""
    origin = tmp_path / "origin"
    shutil.copytree(ROOT / "examples" / "replay" / "before", origin / "policies")
    shutil.copy(ROOT / "examples" / "replay" / "traffic.jsonl", origin / "policies" / "calls.jsonl")
    _git(origin, "init", "--quiet", "--initial-branch=main")
    _git(origin, "add", "-A")
    _git(origin, "commit", "--quiet", "-m", "before")
    base = _git(origin, "rev-parse", "HEAD")
    _git(origin, "config", "uploadpack.allowAnySHA1InWant", "true")
    for file in (ROOT / "examples" / "replay" / "after").iterdir():
        shutil.copy(file, origin / "policies")
    (origin / "policies" / "routes_test.yaml").write_text(_SUITE)
    _git(origin, "add", "-A")
    _git(origin, "commit", "--quiet", "-m", "after")
    _git(tmp_path, "clone", "--quiet", "--depth=1", origin.as_uri(), "checkout")
    return tmp_path / "checkout", base


_COLUMN = "\n--column=request.expected_output_tokens=output_tokens\n"
_SUITE = """\
apiVersion: costlens-policy/v1
kind: Suite
metadata: {name: routes, version: "1"}
now: 2026-11-01T12:00:00Z
policy_set: policy-set.yaml
cases:
  - {name: it serves, request: {prompt: Hi., model: claude-opus-4-7}, expect: {effect: allow}}
"""


def _run(folder: Path, api: _Api, **inputs: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "GITHUB_WORKSPACE": str(folder),
        "GITHUB_API_URL": api.url,
        "GITHUB_REPOSITORY": "acme/llm",
        "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
        "COSTLENS_TOKEN": "secret-token",
        "COSTLENS_COMMENT": "true",
        "COSTLENS_PATHS": "policies",
        **{f"COSTLENS_{name.upper()}": value for name, value in inputs.items()},
    }
    command = [sys.executable, str(ACTION / "run.py")]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


def test_a_pull_request_is_checked_tested_compared_and_commented_once(
    repository: tuple[Path, str], api: _Api, tmp_path: Path
) -> None:
    folder, base = repository
    inputs = {"traffic": "policies/calls.jsonl", "base": base, "pull_request": "7", "options": _COLUMN}
    done = _run(folder, api, **inputs)
    assert done.returncode == 0, done.stdout + done.stderr
    (comment,) = [item["body"] for item in api.comments if item["id"] == 1000]
    assert comment.startswith("<!-- costlens-policy -->\n")
    assert "| " in comment
    assert (tmp_path / "summary.md").read_text().strip() == comment.partition("\n")[2].strip()
    assert "secret-token" not in done.stdout + done.stderr
    api.comments[:0] = [{"id": 10 + number, "body": "more"} for number in range(150)]
    api.comments[-1]["body"] += "an older one"
    assert _run(folder, api, **inputs).returncode == 0
    assert [item["body"] for item in api.comments if item["id"] == 1000] == [comment]
    limited = _run(folder, api, **inputs, max_increase="0%")
    assert limited.returncode == 7
    assert "::error::`costlens-policy diff` exits with 7" in limited.stdout


def test_a_token_that_may_not_write_is_a_warning(repository: tuple[Path, str], api: _Api) -> None:
    folder, base = repository
    api.status = 403
    done = _run(folder, api, traffic="policies/calls.jsonl", base=base, pull_request="7")
    assert done.returncode == 0
    assert "::warning::the comment cannot be written: HTTP Error 403" in done.stdout


def test_a_comment_of_somebody_else_is_not_renewed(repository: tuple[Path, str], api: _Api) -> None:
    folder, base = repository
    stranger = {
        "id": 5,
        "body": "<!-- costlens-policy -->\nmine",
        "user": {"type": "User"},
        "author_association": "NONE",
    }
    api.comments.append(stranger)
    assert (
        _run(folder, api, traffic="policies/calls.jsonl", base=base, pull_request="7", options=_COLUMN).returncode == 0
    )
    assert stranger["body"] == "<!-- costlens-policy -->\nmine"
    assert [item["id"] for item in api.comments] == [1, 5, 1000]


@pytest.mark.parametrize("before", ["none", "wrong"])
def test_whoever_adds_or_mends_policies_is_not_kept_from_it(
    repository: tuple[Path, str], api: _Api, before: str
) -> None:
    folder, _ = repository
    _git(folder, "checkout", "--quiet", "--orphan", "base")
    if before == "none":
        _git(folder, "rm", "-r", "--quiet", "--cached", "policies")
    else:
        good = (folder / "policies" / "policy-set.yaml").read_text()
        (folder / "policies" / "policy-set.yaml").write_text(good + "\nnonsense: 1\n")
        _git(folder, "add", "-A")
    _git(folder, "commit", "--quiet", "--allow-empty", "-m", before)
    if before == "wrong":
        (folder / "policies" / "policy-set.yaml").write_text(good)
    inputs = {"traffic": "policies/calls.jsonl", "base": _git(folder, "rev-parse", "HEAD"), "options": _COLUMN}
    done = _run(folder, api, **inputs, max_increase="0%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "::warning::nothing is compared: the " in done.stdout


def test_failures_are_annotated_and_do_not_hide_each_other(repository: tuple[Path, str], api: _Api) -> None:
    folder, _ = repository
    (folder / "policies" / "broken.yaml").write_text("apiVersion: costlens-policy/v1\nkind: Policy\n")
    suite = folder / "policies" / "routes_test.yaml"
    suite.write_text(suite.read_text().replace("effect: allow", "effect: deny"))
    done = _run(folder, api)
    assert done.returncode == 1
    assert "::error file=policies/broken.yaml" in done.stdout
    assert "::error::`costlens-policy test` exits with 4" in done.stdout


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"strict": "yes"}, "::error::`strict` must be `true` or `false`, got `yes`"),
        ({"traffic": "policies/calls.jsonl"}, "nothing is compared: this run belongs to no pull request"),
        ({"traffic": "policies/calls.jsonl", "base": "0" * 40}, f"the base `{'0' * 40}` cannot be fetched"),
        ({"traffic": "policies/calls.jsonl", "base": "--upload-pack=x"}, "cannot be fetched"),
        ({"comment": "yes", "traffic": "policies/calls.jsonl"}, "nothing is compared"),
        ({"max_increase": "5%"}, "::error::`max-increase` needs `traffic`"),
        ({"no_new_denials": "True"}, "::error::`no-new-denials` needs `traffic`"),
    ],
)
def test_what_cannot_be_done_is_reported(
    repository: tuple[Path, str], api: _Api, inputs: dict[str, str], message: str
) -> None:
    done = _run(repository[0], api, **inputs)
    assert message in done.stdout + done.stderr


def test_each_input_is_passed_on_and_read() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    install, run = action["runs"]["steps"]
    passed = {value for step in (install, run) for value in step["env"].values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in action["inputs"]} <= passed
    read = set(re.findall(r'_(?:input|option|flag|switch)\(["\']([A-Z_]+)', (ACTION / "run.py").read_text()))
    assert {f"COSTLENS_{name}" for name in read} == set(run["env"]) - {"ACTION_PATH"}
    assert not re.search(r"\$\{\{", install["run"] + run["run"]), "an input must not become part of a shell command"


def test_the_page_lists_the_inputs_with_their_defaults() -> None:
    action = yaml.safe_load((ACTION / "action.yml").read_text())
    rows = re.findall(r"^\| `([a-z-]+)` \| (.*?) ?\|", (ROOT / "docs" / "github-action.md").read_text(), re.MULTILINE)
    assert [name for name, _ in rows] == list(action["inputs"])
    for name, default in rows:
        written = action["inputs"][name]["default"]
        assert "${{" in written or default == f"`{written}`" or not written
