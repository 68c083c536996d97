"""Check, test and compare policies in a GitHub workflow.

Every step runs, and the first that failed gives the exit code. Inputs are environment variables, so that none of them
is ever part of a shell command. Needs the standard library only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

MARK = "<!-- costlens-policy -->"
LONGEST = 60_000  # GitHub takes comments of 65,536 characters
TIMEOUT = 30  # seconds of one request
_INVALID = 1  # how `diff` ends where policies are wrong
PAGES = 20  # of 100 comments each that are searched for an earlier one


def main() -> int:
    paths = _input("PATHS").split() or ["."]
    codes = [_run("check", *paths, "--format", "github", *_flag("STRICT", "--strict"))]
    codes.append(_run("test", *paths, "--format", "github", *_option("MIN_COVERAGE", "--min-coverage")))
    limits = [*_option("MAX_INCREASE", "--max-increase"), *_flag("NO_NEW_DENIALS", "--no-new-denials")]
    if _input("TRAFFIC") and _input("BASE"):
        codes.append(_compare(_input("POLICIES") or paths[0], _input("BASE"), limits, is_valid=codes[0] == 0))
    elif limits and not _input("TRAFFIC"):
        _write(f"::error::`{limits[0].removeprefix('--')}` needs `traffic`: without it nothing is compared")
        codes.append(2)
    elif _input("TRAFFIC"):
        _write("::notice::nothing is compared: this run belongs to no pull request, and `base` is not set")
    return next((code for code in codes if code), 0)


def _compare(policies: str, base: str, limits: Sequence[str], *, is_valid: bool) -> int:
    """Decide the traffic under both versions, and show the difference in the summary and as a comment.

    A base without these policies, or with wrong ones, has nothing to compare with: whoever adds or mends them is not
    kept from it. ``is_valid`` says that the new ones are right.
    """
    if base.startswith("-") or not _fetched(base):
        _write(f"::error::the base `{base}` cannot be fetched; check out with `fetch-depth: 0`")
        return 2
    path = os.path.normpath(policies)
    if path != "." and not _runs(["git", "cat-file", "-e", f"{base}:{Path(path).as_posix()}"]):
        _write(f"::warning::nothing is compared: the base has no `{path}`")
        return 0
    more = filter(None, map(str.strip, _input("OPTIONS").splitlines()))
    traffic = ["--traffic", _input("TRAFFIC"), *_option("MAPPING", "--mapping"), *more]
    old = f"{base}:{path}"
    _write("::group::costlens-policy diff")
    done = subprocess.run(
        [*_PROGRAM, "diff", old, policies, *traffic, *limits, "--format", "markdown"],
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    _write(done.stdout + "::endgroup::")
    if done.stdout:
        _summarize(done.stdout)
        if _switch("COMMENT") and _input("PULL_REQUEST").isdigit():
            _comment(done.stdout)
    if done.returncode == _INVALID and is_valid:
        _write("::warning::nothing is compared: the policies of the base are not valid")
        return 0
    if done.returncode:
        _write(f"::error::`costlens-policy diff` exits with {done.returncode}")
    return done.returncode


def _fetched(base: str) -> bool:
    """Say whether a revision is here, after fetching it where the checkout is shallow."""
    here, fetch = ["cat-file", "-e", f"{base}^{{commit}}"], ["fetch", "--quiet", "--depth=1", "origin", base]
    return _runs(["git", *here]) or _runs(["git", *fetch])


def _runs(command: Sequence[str]) -> bool:
    return subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0


def _summarize(text: str) -> None:
    if file := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(file, "a", encoding="utf-8") as summary:
            summary.write(text + "\n")


def _comment(text: str) -> None:
    """Write the comment of the pull request, or renew an earlier one. What prevents it is a warning, no failure."""
    body = f"{MARK}\n{text}"
    if len(body) > LONGEST:
        body = body[:LONGEST].rsplit("\n", 1)[0] + "\n\nThe rest is in the summary of the run.\n"
    issues = f"/repos/{os.environ['GITHUB_REPOSITORY']}/issues"
    comments = f"{issues}/{_input('PULL_REQUEST')}/comments"
    try:
        earlier = _earlier(comments)
        if earlier is None:
            _call("POST", comments, {"body": body})
        else:
            _call("PATCH", f"{issues}/comments/{earlier}", {"body": body})
    except (OSError, ValueError) as error:  # no permission, as in pull requests from forks, or no answer
        _write(f"::warning::the comment cannot be written: {error}")


def _earlier(comments: str) -> int | None:
    for page in range(1, PAGES + 1):
        found = _call("GET", f"{comments}?per_page=100&page={page}")
        for comment in found:
            if str(comment.get("body") or "").startswith(MARK) and _may_be_ours(comment):
                return int(comment["id"])
        if len(found) < 100:
            break
    return None


def _may_be_ours(comment: dict[str, Any]) -> bool:
    """Say whether a bot or somebody with a token has written a comment: nobody else's is renewed."""
    is_bot = (comment.get("user") or {}).get("type") == "Bot"
    return is_bot or comment.get("author_association") in ("OWNER", "MEMBER", "COLLABORATOR")


def _call(method: str, path: str, data: dict[str, str] | None = None) -> Any:
    request = urllib.request.Request(
        os.environ.get("GITHUB_API_URL", "https://api.github.com") + path,
        data=None if data is None else json.dumps(data).encode(),
        method=method,
        headers={
            "Authorization": f"Bearer {_input('TOKEN')}",
            "Accept": "application/vnd.github+json",
            "Content-Type": "application/json",
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
        return json.load(answer)


def _run(*arguments: str) -> int:
    """Run a command whose annotations GitHub reads from standard output."""
    _write(f"::group::costlens-policy {arguments[0]}")
    code = subprocess.run([*_PROGRAM, *arguments]).returncode
    _write("::endgroup::")
    if code:
        _write(f"::error::`costlens-policy {arguments[0]}` exits with {code}")
    return code


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # before what a command writes


def _input(name: str) -> str:
    return os.environ.get(f"COSTLENS_{name}", "").strip()


def _option(name: str, option: str) -> Sequence[str]:
    return [option, _input(name)] if _input(name) else []


def _flag(name: str, flag: str) -> Sequence[str]:
    return [flag] if _switch(name) else []


def _switch(name: str) -> bool:
    value = _input(name).lower()
    if value not in ("", "true", "false"):
        sys.exit(f"::error::`{name.lower().replace('_', '-')}` must be `true` or `false`, got `{value}`")
    return value == "true"


_PROGRAM = (sys.executable, "-m", "costlens_policy")

if __name__ == "__main__":
    os.chdir(Path(os.environ.get("GITHUB_WORKSPACE", ".")))
    sys.exit(main())
