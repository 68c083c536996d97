"""Where policies come from: folders, git, HTTP and object stores, each with what goes wrong there."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from costlens_policy import InputError, LivePolicies, PolicyError
from costlens_policy.bundles import BundleError, Trust, build
from costlens_policy.live import BundleSource, FolderSource, GitSource, HttpSource, ObjectSource
from costlens_policy.live.sources import http, source_at
from tests.guard.company import REQUEST

Write = Callable[..., Path]


def test_a_folder_that_has_not_changed_gives_the_same_object(write: Write) -> None:
    source = FolderSource(write())
    first = source.fetch()
    assert source.fetch() is first
    write()
    assert source.fetch() is first  # written again with the same texts
    write(models="mini")
    assert source.fetch() is not first


def test_a_file_of_the_same_size_and_time_is_seen(write: Write, folder: Path) -> None:
    source = FolderSource(write(models="nano"))
    first = source.fetch()
    path = folder / "policy-set.yaml"
    before = path.stat()
    path.write_text(path.read_text().replace("nano", "mini"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert source.fetch().plan.policy_digest != first.plan.policy_digest


def test_a_link_to_another_folder_replaces_all_at_once(write: Write, folder: Path, tmp_path: Path) -> None:
    write(models="nano")
    shutil.copytree(folder, tmp_path / "v1")
    write(models="mini")
    shutil.copytree(folder, tmp_path / "v2")
    link = tmp_path / "current"
    link.symlink_to("v1")
    live = LivePolicies(link, interval=None)
    (tmp_path / "next").symlink_to("v2")
    os.replace(tmp_path / "next", link)
    assert live.refresh().is_current
    assert live.decide(REQUEST).model == "mini"


def test_a_set_that_changes_all_the_time_is_refused(
    write: Write, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costlens_policy.live.sources.folder.still_hold", lambda *_: False)
    monkeypatch.setattr("costlens_policy.live.sources.folder._PAUSE", 0.0)
    with pytest.raises(PolicyError, match="changes while it is read"):
        FolderSource(write()).fetch()


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *identity, "-C", str(folder), *arguments], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, write: Write) -> Path:
    """Return a repository with the policies in `policies/`."""
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    place = tmp_path / "repository"
    place.mkdir()
    git(place, "init", "--quiet", "-b", "main")
    commit(place, write())
    return place


def commit(repository: Path, folder: Path) -> str:
    shutil.copytree(folder, repository / "policies", dirs_exist_ok=True)
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "policies")
    return git(repository, "rev-parse", "HEAD")


def test_git_gives_what_a_branch_tag_or_commit_is(repository: Path, write: Write) -> None:
    first = git(repository, "rev-parse", "HEAD")
    git(repository, "tag", "-a", "v1", "-m", "v1")
    git(repository, "branch", "other/main")
    source = GitSource(repository, "main", "policies")
    live = LivePolicies(source, interval=None)
    assert live.status.version == first
    assert source.fetch() is source.fetch()
    second = commit(repository, write(models="mini"))
    assert live.refresh().version == second
    assert live.decide(REQUEST).model == "mini"
    for revision in ("v1", first, "other/main"):
        fetched = GitSource(f"file://{repository}", revision, "policies").fetch()
        assert fetched.version == first
        assert "repository" not in str(fetched.plan.defaults.route)


def test_git_reads_a_bad_commit_once(repository: Path, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    live = LivePolicies(GitSource(repository, "main", "policies"), interval=None)
    bad = commit(repository, write("routes: [{id: r, when: 'request.modle', model: nano}]", check=False))
    read = GitSource._read
    asked: list[str] = []
    monkeypatch.setattr(GitSource, "_read", lambda self, commit: (asked.append(commit), read(self, commit))[1])
    assert "modle" in live.refresh().problem
    assert "modle" in live.refresh().problem
    assert asked == [bad]
    commit(repository, write(models="mini"))
    assert live.refresh().is_current


@pytest.mark.parametrize(
    ("revision", "path", "problem"),
    [
        ("nowhere", "policies", "repository@nowhere"),
        ("main", "nowhere", "nowhere"),
        ("main", "../..", "inside"),
        ("main", "/etc", "inside"),
        ("0" * 40, "policies", "repository@0000"),
    ],
)
def test_git_reports_what_is_not_there(repository: Path, revision: str, path: str, problem: str) -> None:
    with pytest.raises((InputError, PolicyError), match=problem):
        GitSource(repository, revision, path).fetch()


def test_git_follows_a_branch_that_is_forced_to_another_history(repository: Path, write: Write) -> None:
    live = LivePolicies(GitSource(f"file://{repository}", "main", "policies"), interval=None)
    first = live.status.version
    git(repository, "checkout", "--quiet", "--orphan", "elsewhere")
    other = commit(repository, write(models="mini"))
    git(repository, "branch", "--quiet", "-f", "main", other)
    assert live.refresh().version == other
    git(repository, "branch", "--quiet", "-f", "main", first)  # and back: what a branch is, is for git to say
    assert live.refresh().version == first
    git(repository, "branch", "--quiet", "-D", "main")
    assert "main" in live.refresh().problem
    assert live.decide(REQUEST).model == "nano"


def test_git_takes_the_yaml_of_a_large_repository(
    repository: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("costlens_policy.live.sources.git.MAX_BYTES", 100_000)
    (repository / "film.bin").write_bytes(os.urandom(200_000))
    head = commit(repository, write())
    assert GitSource(f"file://{repository}", "main", "policies").fetch().version == head
    (repository / "large.yaml").write_text("#" * 200_000)
    commit(repository, write())
    with pytest.raises(InputError, match="the YAML files of"):
        GitSource(f"file://{repository}", "main", "policies").fetch()


def test_git_that_takes_too_long_is_ended(repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    slow = tmp_path / "bin" / "git"
    slow.write_text("#!/bin/sh\nsleep 30\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(InputError, match=r"git took longer than 0.2 seconds"):
        GitSource(repository, "main", "policies", timeout=0.2).fetch()


def test_git_lays_out_no_link_that_leads_outside(repository: Path) -> None:
    (repository / "policies" / "hosts.yaml").symlink_to("/etc/hosts")
    git(repository, "add", "-A")
    git(repository, "commit", "--quiet", "-m", "link")
    with pytest.raises((InputError, PolicyError), match=r"hosts"):
        GitSource(repository, "main", "policies").fetch()


def test_git_takes_no_options_and_shows_no_password(tmp_path: Path) -> None:
    for repository, revision in (("--upload-pack=x", "main"), (str(tmp_path), "--output=x"), (str(tmp_path), "")):
        with pytest.raises(InputError):
            GitSource(repository, revision)
    source = GitSource("https://user:secret@127.0.0.1:1/x", timeout=20)
    assert "secret" not in source.name
    with pytest.raises(InputError) as caught:
        source.fetch()
    assert "secret" not in str(caught.value)
    with pytest.raises(InputError):
        GitSource("ext::sh -c touch% /tmp/x", timeout=20).fetch()


class Site:
    """A server on this machine: what it answers, and what it was asked."""

    def __init__(self) -> None:
        self.content = b""
        self.etag = ""
        self.status = 200
        self.location = ""
        self.delay = threading.Event()
        self.stalls = False
        self.drips = b""
        self.asked: list[dict[str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append({name.lower(): value for name, value in self.headers.items()})
                site.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/p.bundle"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        if self.location and not request.path.startswith("/moved"):
            request.send_response(302)
            request.send_header("Location", self.location)
            request.end_headers()
            return
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            request.send_response(304)
            request.end_headers()
            return
        if self.drips:
            while not self.delay.wait(0.05):
                request.wfile.write(self.drips)
                request.wfile.flush()
            return
        request.send_response(self.status)
        if self.etag:
            request.send_header("ETag", self.etag)
        request.send_header("Content-Length", str(len(self.content)))
        request.end_headers()
        if self.stalls:
            request.wfile.write(self.content[:100])
            request.wfile.flush()
            self.delay.wait(20)
            return
        request.wfile.write(self.content)

    def close(self) -> None:
        self.delay.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


def test_http_asks_with_the_entity_tag(site: Site, write: Write) -> None:
    site.content, site.etag = build(write()).packed, '"1"'
    live = LivePolicies(HttpSource(site.url, headers={"Authorization": "Bearer t"}), interval=None)
    assert live.refresh().loads == 1
    assert [asked.get("if-none-match") for asked in site.asked] == [None, '"1"']
    assert site.asked[0]["authorization"] == "Bearer t"
    site.content, site.etag = build(write(models="mini")).packed, '"2"'
    assert live.refresh().loads == 2
    assert live.decide(REQUEST).model == "mini"


def _certificate(folder: Path) -> Path:
    """Write a certificate of 127.0.0.1 with its key, and return the file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = made.add_extension(address, critical=True).sign(key, hashes.SHA256())
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    text = signed.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption())
    (folder / "certificate.pem").write_bytes(text)
    return folder / "certificate.pem"


def test_https_is_verified_and_ended_in_time(
    site: Site, write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cryptography")
    certificate = _certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site.server.socket = context.wrap_socket(site.server.socket, server_side=True)
    site.content = build(write()).packed
    url = site.url.replace("http:", "https:")
    with pytest.raises(InputError, match=r"(?i)certificate"):
        HttpSource(url).fetch()
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert LivePolicies(url, interval=None).decide(REQUEST).model == "nano"
    site.drips = b"HTTP/1.1 200 OK\r\n\r\nx"
    with pytest.raises(InputError, match=r"longer than 0\.4 seconds|cannot be fetched"):
        HttpSource(url, timeout=0.4).fetch()


def test_http_does_not_believe_a_tag_for_ever(site: Site, write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    site.content, site.etag = build(write()).packed, '"always the same"'
    live = LivePolicies(site.url, interval=None)
    site.content = build(write(models="mini")).packed
    assert live.refresh().loads == 1
    now = time.monotonic()
    monkeypatch.setattr("costlens_policy.live.sources.packed.time.monotonic", lambda: now + 601)
    assert live.refresh().loads == 2
    assert live.decide(REQUEST).model == "mini"


def test_http_without_a_tag_compares_what_it_gets(site: Site, write: Write) -> None:
    site.content = build(write()).packed
    live = LivePolicies(site.url, interval=None)
    assert live.refresh().loads == 1
    site.content = build(write(models="mini")).packed
    assert live.refresh().loads == 2


def test_http_faults_leave_what_serves(site: Site, write: Write) -> None:
    site.content, site.etag = build(write()).packed, '"1"'
    live = LivePolicies(HttpSource(site.url, timeout=1), interval=None)
    good, site.etag = site.content, '"2"'
    site.content = b"<html>"
    assert "not a bundle" in live.refresh().problem
    assert "not a bundle" in live.refresh().problem  # what is refused stays refused, though nothing has changed
    site.status, site.etag = 503, ""
    assert "status 503" in live.refresh().problem
    site.status, site.content, site.stalls = 200, good, True
    assert live.refresh().problem
    site.stalls, site.content = False, good[:-700]
    assert "truncated" in live.refresh().problem or live.status.problem
    site.content = good
    assert live.refresh().is_current
    site.close()
    assert "cannot be fetched" in live.refresh().problem
    assert live.decide(REQUEST).model == "nano"


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://localhost:1/x", "gopher://x/"])
def test_http_follows_no_redirect_to_another_scheme_or_an_open_host(site: Site, to: str) -> None:
    site.location = to
    with pytest.raises(InputError):
        HttpSource(site.url).fetch()


@pytest.mark.parametrize("drips", [b"x", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\nx"])
def test_http_ends_an_answer_that_drips_for_ever(site: Site, drips: bytes) -> None:
    site.drips = drips  # each part comes in time, and the whole never does
    with pytest.raises(InputError, match=r"longer than 0\.4 seconds|cannot be fetched"):
        HttpSource(site.url, timeout=0.4).fetch()
    assert not site.delay.is_set()


def test_http_sends_back_no_tag_that_is_none(site: Site, write: Write) -> None:
    site.content, site.etag = build(write()).packed, '"1"\r\n folded'
    live = LivePolicies(site.url, interval=None)
    assert live.refresh().is_current
    site.content = build(write(models="mini")).packed
    assert live.refresh().loads == 2
    site.etag, site.status = "", 304
    assert "status 304" in live.refresh().problem  # nobody has asked with a condition


def test_http_follows_a_redirect_on_its_own_host(site: Site, write: Write) -> None:
    site.content, site.location = build(write()).packed, "/moved/p.bundle"
    assert HttpSource(site.url).fetch()


def test_http_bodies_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_BYTES", 1000)
    site.content = bytes(2000)
    with pytest.raises(InputError, match="larger than"):
        HttpSource(site.url).fetch()


@pytest.mark.parametrize("url", ["ftp://x/y", "https:///x", "https://user:pw@example.com/x", "file:///x"])
def test_http_takes_no_other_url(url: str) -> None:
    with pytest.raises(InputError):
        HttpSource(url)


def test_no_signature_of_a_url_is_shown(site: Site, write: Write) -> None:
    site.content = build(write()).packed
    live = LivePolicies(f"{site.url}?X-Amz-Signature=secret", interval=None)
    site.content = b"nothing"
    shown = [live.refresh().problem, live.status.source, repr(live)]
    for url in ("http://example.com/x?secret", "ftp://example.com/x?secret"):
        with pytest.raises(InputError) as caught:
            HttpSource(url)
        shown.append(str(caught.value))
    site.location = "ftp://127.0.0.1/x?secret"
    shown.append(live.refresh().problem)
    assert not [text for text in shown if "secret" in text]
    assert live.status.source == f"{site.url}?…"


def test_http_in_the_open_needs_a_signature(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="needs `trust`"):
        HttpSource("http://example.com/p.bundle")
    pytest.importorskip("cryptography")
    from costlens_policy.bundles import SigningKey

    SigningKey.generate().write(tmp_path / "key")
    assert HttpSource("http://example.com/p.bundle", trust=Trust(tmp_path / "key.pub"))


def test_an_object_store_is_asked_with_the_entity_tag(write: Write, tmp_path: Path) -> None:
    pytest.importorskip("obstore")
    (tmp_path / "store").mkdir()
    place = tmp_path / "store" / "p.bundle"
    place.write_bytes(build(write()).packed)
    live = LivePolicies(f"file://{tmp_path}/store/p.bundle", interval=None)
    assert live.refresh().loads == 1
    place.write_bytes(build(write(models="mini")).packed)
    assert live.refresh().loads == 2
    assert live.decide(REQUEST).model == "mini"
    place.unlink()
    assert "cannot be fetched" in live.refresh().problem


@pytest.mark.parametrize("url", ["s3://", "nothing", "weird://x/y", "s3://bucket/"])
def test_an_object_store_takes_no_other_url(url: str) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(InputError):
        ObjectSource(url)


def test_options_that_no_store_knows_are_an_error(caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("obstore")
    with pytest.raises(InputError, match=r"`s3://bucket/p.bundle` cannot be opened: .*"):
        ObjectSource("s3://bucket/p.bundle", allow_htp=True)


def test_trust_needs_a_bundle(write: Write, tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from costlens_policy.bundles import SigningKey

    SigningKey.generate().write(tmp_path / "key")
    with pytest.raises((InputError, BundleError), match="not a bundle"):
        LivePolicies(write(), trust=Trust(tmp_path / "key.pub"))
    with pytest.raises(InputError, match="there is no file"):
        LivePolicies(tmp_path / "nowhere.bundle", trust=Trust(tmp_path / "key.pub"))
    with pytest.raises(ValueError, match="belongs to the source"):
        LivePolicies(FolderSource(write()), trust=Trust(tmp_path / "key.pub"))


def test_places_name_sources(write: Write, tmp_path: Path, repository: Path) -> None:
    found = source_at(Path("https://example.com/p.bundle"))
    assert (type(found), found.name) == (HttpSource, "https://example.com/p.bundle")
    fetched = source_at(Path(f"git+file://{repository}#main:policies")).fetch()
    assert fetched.version == git(repository, "rev-parse", "HEAD")
    assert isinstance(source_at(write(), write() / "p.yaml"), FolderSource)
    (tmp_path / "p.bundle").write_bytes(build(write()).packed)
    assert isinstance(source_at(tmp_path / "p.bundle"), BundleSource)
    for several in (("https://example.com/x", "y"), (tmp_path / "p.bundle", "y")):
        with pytest.raises(InputError, match="without other"):
            source_at(*several)
