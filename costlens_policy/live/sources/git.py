"""Policies in a git repository, at a branch, tag or commit."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from threading import Event, Timer
from typing import Final

from costlens_policy.bundles.archive import MAX_BYTES
from costlens_policy.bundles.unpacked import compiled_in
from costlens_policy.compiler.plan import Plan
from costlens_policy.diagnostics.model import PolicyError
from costlens_policy.errors import InputError
from costlens_policy.live.source import Fetched

__all__ = ["GitSource"]

_SAFE: Final = (
    "-c",
    "protocol.ext.allow=never",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "credential.interactive=false",
)


_YAML: Final = ":(glob)**/*.y*ml"


class GitSource:
    """The policy set at ``path`` in a repository, as it is in a ``revision``: a branch or tag, by default ``main``.

    ``repository`` is a folder of this machine or a URL as ``git fetch`` takes it. One command asks for the commit that
    the revision is; only another one is fetched, without its history. Nobody is asked for a password: git finds
    credentials by its own configuration. ``timeout`` is in seconds, for each command. Raises ``InputError``.
    """

    def __init__(
        self, repository: str | os.PathLike[str], revision: str = "main", path: str = ".", *, timeout: float = 60.0
    ) -> None:
        self._repository: Final = os.fspath(repository)
        if self._repository.startswith("-") or revision.startswith("-") or not revision:
            raise InputError(f"`{self._repository}` and `{revision}` must be a repository and a revision")
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise InputError(f"`{path}` must be a path inside the repository")
        self._revision = revision
        self._path = path
        self._timeout = timeout
        self._commit = ""
        self._fetched: Fetched | None = None
        self._refused: PolicyError | None = None
        self.name: Final = f"{_without_password(self._repository)}@{revision}:{path}"

    def fetch(self) -> Fetched:
        """Return the policies of the revision as it is now. Raises ``InputError`` and ``PolicyError``."""
        commit = self._present_commit()
        if commit != self._commit:
            try:
                self._fetched, self._refused = Fetched(commit, self._read(commit)), None
            except PolicyError as error:
                self._refused = error
            self._commit = commit
        if self._refused is not None:
            raise self._refused
        assert self._fetched is not None, "it was read, or refused"
        return self._fetched

    def _present_commit(self) -> str:
        if _is_commit(self._revision):
            return self._revision
        listed = self._git("ls-remote", "--exit-code", "--", self._place, self._revision, f"{self._revision}^{{}}")
        commits: dict[str, str] = {}
        for line in listed.decode(errors="replace").splitlines():
            commit, _, name = line.partition("\t")
            commits[name] = commit
        names = (f"refs/heads/{self._revision}", f"refs/tags/{self._revision}^{{}}", f"refs/tags/{self._revision}")
        found = next((commits[name] for name in (*names, self._revision) if name in commits), None)
        if found is None or not _is_commit(found):
            raise InputError(f"`{self.name}`: the repository has no branch or tag `{self._revision}`")
        return found

    def _read(self, commit: str) -> Plan:
        with TemporaryDirectory(prefix="costlens-policy-") as folder:
            bare, files = Path(folder, "bare"), Path(os.path.realpath(folder), "files")
            self._git("init", "--quiet", "--bare", str(bare))
            wanted = ("--quiet", "--depth=1", "--no-tags", "--", self._place, self._revision)
            self._git("-C", str(bare), "fetch", *wanted)
            packed = self._archive(bare, commit)
            try:
                with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                    archive.extractall(files, filter="data")
            except (tarfile.TarError, OSError) as error:  # such as a link that leads out of the repository
                raise InputError(f"`{self.name}` cannot be laid out: {error}") from error
            (files / ".git").mkdir(exist_ok=True)  # what is in the repository may not refer to what is outside
            return compiled_in(files, self._path)

    def _archive(self, bare: Path, commit: str) -> bytes:
        """Return the files of a commit; of a large repository, such as that of a whole company, its YAML files."""
        for chosen in ((), ("--", _YAML)):
            packed = self._git("-C", str(bare), "archive", "--format=tar", commit, *chosen, most=MAX_BYTES)
            if len(packed) <= MAX_BYTES:
                return packed
        raise InputError(f"the YAML files of `{self.name}` are larger than {MAX_BYTES // 1024**2} MiB")

    @property
    def _place(self) -> str:
        return os.path.abspath(self._repository) if os.path.isdir(self._repository) else self._repository

    def _git(self, *arguments: str, most: int = MAX_BYTES) -> bytes:
        """Return what a command of git prints; it is ended if that is more than ``most`` bytes or takes too long."""
        try:
            running = subprocess.Popen(
                ["git", *_SAFE, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(),
                start_new_session=True,  # so that what it starts ends with it, such as ssh
            )
        except FileNotFoundError:
            raise InputError("git is not installed") from None
        with running, _ended_after(running, self._timeout) as late, ThreadPoolExecutor(1) as reading:
            assert running.stdout is not None, "it is a pipe"
            assert running.stderr is not None, "it is a pipe"
            errors = reading.submit(running.stderr.read)
            printed = running.stdout.read(most + 1)
            if len(printed) > most:
                _kill(running)
            said = errors.result()
        if late.is_set():
            raise InputError(f"`{self.name}`: git took longer than {self._timeout:g} seconds")
        if running.returncode and len(printed) <= most:
            text = " ".join(said.decode(errors="replace").split()).removeprefix("fatal: ")
            reason = text.replace(self._repository, _without_password(self._repository))
            raise InputError(f"`{self.name}`: {reason[:500] or 'the repository has no such revision'}")
        return printed


@contextmanager
def _ended_after(running: subprocess.Popen[bytes], seconds: float) -> Iterator[Event]:
    """Kill a process that runs longer; whether it did is said by what is given."""
    late = Event()

    def end() -> None:
        if running.poll() is None:
            late.set()
            _kill(running)

    timer = Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield late
    finally:
        running.wait()
        timer.cancel()


def _kill(running: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    else:
        running.kill()


def _is_commit(revision: str) -> bool:
    return len(revision) in (40, 64) and all(digit in "0123456789abcdef" for digit in revision)


def _environment() -> dict[str, str]:
    """Return the environment without what a git that runs this has set, and without anybody to ask."""
    kept = {name: value for name, value in os.environ.items() if name not in _OF_ANOTHER_GIT}
    return {"GIT_SSH_COMMAND": "ssh -o BatchMode=yes", **kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "true"}


_OF_ANOTHER_GIT: Final = frozenset(
    {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE"}
)


def _without_password(repository: str) -> str:
    scheme, separator, rest = repository.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{separator}{host.rpartition('@')[2]}{slash}{path}" if separator else repository
