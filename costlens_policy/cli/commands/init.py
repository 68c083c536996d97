"""``init``: write a starter repository."""

from __future__ import annotations

import json
import re
from pathlib import Path
from string import Template
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import click

import costlens_policy
from costlens_policy import __version__
from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.output import note, write_file, write_out
from costlens_policy.errors import InputError
from costlens_policy.frozen import frozen

__all__ = ["command", "installed_origin", "starter_files", "write_starter"]


@click.command(
    "init",
    cls=Command,
    short_help="Write a starter repository of policies.",
    examples=[
        ("write it into a new directory", "init llm-policies"),
        ("write it here, replacing existing files", "init --force"),
        (
            "let CI install this program from a URL",
            "init llm-policies --install git+https://git.example.com/costlens-policy",
        ),
        (
            "or from a file in the repository",
            "init llm-policies --install llm-policies/vendor/costlens.whl",
        ),
    ],
)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace existing files.")
@click.option(
    "--install",
    metavar="SPEC",
    help="What `requirements.txt` installs this program from: a version, URL or path. "
    "Default: where this installation came from.",
)
def command(folder: Path, force: bool, install: str | None) -> ExitCode:
    """Write a starter repository: policy set, catalogue, policies with their tests and an invariant, a CI workflow,
    pre-commit hooks and JSON Schemas for editors.

    `check`, `test` and `prove` pass on it. Existing files are kept unless `--force` is given.
    """
    origin = installed_origin() if install is None else _chosen_origin(install, folder)
    write_starter(folder, force=force, origin=origin)
    write_out(f"wrote {len(starter_files())} files into `{folder}`\n\n{_next_steps(folder)}")
    if origin.place:
        note(
            f"\nnote: requirements.txt installs costlens-policy from `{origin.place}`, which only this machine has\n"
            "  = help: name a URL, or a file in the repository, for CI: `init --force --install SPEC`"
        )
    return ExitCode.OK


def _next_steps(folder: Path) -> str:
    lines = [] if folder == Path() else [f"  cd {folder}"]
    lines += [
        "  costlens-policy check .",
        "  costlens-policy test .",
        "  costlens-policy prove .",
        "  costlens-policy eval . --request request.yaml --explain",
    ]
    return "next:\n" + "\n".join(lines)


_NAME: Final = "costlens-policy"
_URL: Final = re.compile(r"(git|hg|svn|bzr)\+\w+:|https?:|file:")
_VERSION: Final = re.compile(r"\d+(\.\w+)*([.+-]\w+)*")
_EXTRAS: Final = re.compile(r"costlens[-_.]policy(\[[\w, -]+\])?\s*([<>=!~@].*)?", re.IGNORECASE)


@frozen
class _Origin:
    """``requirement`` is the line of requirements.txt; ``place`` a folder or file of this machine that it names."""

    requirement: str
    place: str = ""


def installed_origin() -> _Origin:
    """Return where this program was installed from: an index, a URL, or a place on this machine."""
    checkout = Path(costlens_policy.__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return _of_place(checkout)
    noted = _direct_url()
    url = str(noted.get("url", ""))
    if not url:
        return _Origin(f"{_NAME}=={__version__}")
    if version := noted.get("vcs_info"):
        return _Origin(f"{_NAME} @ {version['vcs']}+{url}@{version['commit_id']}")
    return _of_url(url)


def _chosen_origin(text: str, folder: Path) -> _Origin:
    """Return where to install from by what a user says: a version, a requirement, a URL or a path.

    A path inside of ``folder``, which the starter is written into, is kept relative to it. Raises ``InputError``.
    """
    if _URL.match(text):
        return _of_url(text)
    if _VERSION.fullmatch(text):
        return _Origin(f"{_NAME}=={text}")
    if _EXTRAS.fullmatch(text):
        return _Origin(text)
    place = Path(text).resolve()
    if not text or not place.exists():
        raise InputError(f"`{text}` is not a version, a URL or an existing path; name one to install this program from")
    top = folder.resolve()
    if place != top and place.is_relative_to(top):
        return _Origin(f"./{place.relative_to(top).as_posix()}")
    return _of_place(place)


def _direct_url() -> dict[str, Any]:
    """Return what the installer noted about the origin (PEP 610); nothing where that was an index."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        noted = json.loads(distribution(_NAME).read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError, OSError):
        return {}
    return noted if isinstance(noted, dict) else {}


def _of_url(url: str) -> _Origin:
    place = unquote(urlsplit(url).path) if url.startswith("file:") else ""
    return _Origin(f"{_NAME} @ {url}", place)


def _of_place(place: Path) -> _Origin:
    return _Origin(f"{_NAME} @ {place.as_uri()}", str(place))


_FILES: Final = {
    ".github/workflows/policies.yml": "workflow.yaml",
    ".pre-commit-config.yaml": "pre-commit-config.yaml",
    "README.md": "README.md.tmpl",
    "catalogue.yaml": "catalogue.yaml",
    "invariants.yaml": "invariants.yaml",
    "policies/access.yaml": "policies/access.yaml",
    "policies/access_test.yaml": "policies/access_test.yaml",
    "policies/privacy.yaml": "policies/privacy.yaml",
    "policies/privacy_test.yaml": "policies/privacy_test.yaml",
    "policies/routing.yaml": "policies/routing.yaml",
    "policies/routing_test.yaml": "policies/routing_test.yaml",
    "policy-set.yaml": "policy-set.yaml",
    "request.yaml": "request.yaml",
    "requirements.txt": "requirements.txt.tmpl",
}
"""File of the starter, and the file of this package that it is made from."""


def starter_files(origin: _Origin | None = None) -> dict[str, str]:
    """Return the text of every file by its path in the repository.

    ``origin`` is where the repository installs this program from; by default, where this one was.
    """
    from costlens_policy.schema import schema_texts

    requirement = (origin or installed_origin()).requirement
    written = {path: _text(name, requirement) for path, name in _FILES.items()}
    return written | {f"schemas/{name}": text for name, text in schema_texts().items()}


def write_starter(folder: Path, *, force: bool, origin: _Origin | None = None) -> None:
    """Write the starter into a folder. Raises ``InputError`` where files exist, unless ``force``."""
    from costlens_policy.diagnostics.suggestion import listed

    texts = starter_files(origin)
    there = [path for path in texts if (folder / path).exists()]
    if there and not force:
        names = listed(str(folder / path) for path in there)
        raise InputError(f"nothing was written because of existing files: {names}; use `--force` to replace them")
    for path, text in texts.items():
        write_file(folder / path, text.encode())


def _text(name: str, requirement: str) -> str:
    from importlib.resources import files

    text = files("costlens_policy.cli").joinpath("starter", name).read_text(encoding="utf-8")
    return Template(text).substitute(requirement=requirement) if name.endswith(".tmpl") else text
