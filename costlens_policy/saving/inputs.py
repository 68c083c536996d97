"""What a plan was made from, written so that it can be compared with what is there now."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from costlens_policy.source.read import repository_of, yaml_files

if TYPE_CHECKING:
    from costlens_policy.checker import LinkedBundle

__all__ = ["inputs_of", "still_hold"]


def inputs_of(paths: Sequence[Path], bundle: LinkedBundle) -> Mapping[str, Any] | None:
    """Return, as JSON, the files that were read for a policy set; None where that is not all that decided.

    ``files`` has the digest of each text by the name it was read under, ``folders`` the YAML files of each folder that
    was searched, ``links`` where each name leads, and ``repository`` which folder references may not leave.
    """
    texts = {name: _digest(source.text.encode()) for name, source in bundle.sources.items()}
    folders = {str(path): _listed(path) for path in paths if os.path.isdir(path)}
    read = {os.path.realpath(name) for name in texts}
    if any(os.path.realpath(name) not in read for names in folders.values() for name in names):
        return None  # a file that could not be read, or that came to be meanwhile
    origin = bundle.policy_set.located.source.name
    return {
        "files": texts,
        "folders": folders,
        "links": {name: os.path.realpath(name) for name in (*texts, *_references(bundle, origin))},
        "origin": origin,
        "repository": str(_repository(origin, paths)),
    }


def still_hold(inputs: Mapping[str, Any], paths: Sequence[Path]) -> bool:
    """Say whether reading the policies anew would read the same."""
    try:
        return (
            all(os.path.realpath(name) == where for name, where in inputs["links"].items())
            and inputs["repository"] == str(_repository(inputs["origin"], paths))
            and inputs["folders"] == {str(path): _listed(path) for path in paths if os.path.isdir(path)}
            and all(_digest_of_file(name) == digest for name, digest in inputs["files"].items())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _references(bundle: LinkedBundle, origin: str) -> Iterator[str]:
    """Yield the names under which the policy set knows its files, before links on the way are followed."""
    document = bundle.policy_set.document
    return (os.path.join(os.path.dirname(origin), text) for text in (*document.policies, *document.catalogues))


def _repository(origin: str, paths: Sequence[Path]) -> Path:
    return repository_of(Path(os.path.realpath(origin)), paths)


def _listed(folder: Path) -> list[str]:
    return list(yaml_files(folder))


def _digest_of_file(name: str) -> str:
    with open(name, "rb") as stream:
        return _digest(stream.read().removeprefix(codecs.BOM_UTF8))


def _digest(text: bytes) -> str:
    return sha256(text).hexdigest()
