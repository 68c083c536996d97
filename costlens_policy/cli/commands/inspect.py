"""``inspect``: what is in a bundle, or in the file of a learned signal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costlens_policy.cli.command import Command
from costlens_policy.cli.exit_codes import ExitCode
from costlens_policy.cli.formats import format_option
from costlens_policy.cli.output import write_json, write_out
from costlens_policy.errors import InputError

if TYPE_CHECKING:
    from costlens_policy.bundles import Bundle
    from costlens_policy.signals.learned import LearnedModel

__all__ = ["command"]


@click.command(
    "inspect",
    cls=Command,
    short_help="Show what is in a bundle, or in the model of a learned signal.",
    examples=[
        ("show the policy set, its files and its signature", "inspect policies.bundle"),
        ("print the digest for a script", "inspect policies.bundle --format json"),
        ("read the policies themselves", "inspect policies.bundle --unpack folder"),
        ("see what a learned signal goes by", "inspect signals/task.json"),
    ],
)
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path))
@click.option(
    "--unpack", "target", metavar="DIR", type=click.Path(path_type=Path), help="Write its documents to a new directory."
)
@format_option("text", "json")
def command(path: Path, target: Path | None, output: str) -> ExitCode:
    """Show the policy set, the digests, the files and the signature of the bundle FILE.

    The signature is shown as the bundle states it, not verified: `verify` does that. Of the model of a learned signal
    it shows the labels, what they were learned from, how well they were recognized in prompts that the model had not
    seen, and the words that weigh most for each.
    """
    from costlens_policy.bundles import open_bundle

    if _is_json(path):
        return _show_model(path, target, output)
    if path.is_file() and not _may_be_bundle(path):
        raise InputError(f"`{path}` is neither a bundle nor the model of a learned signal")
    bundle = open_bundle(path)
    if target is not None:
        _unpack(bundle, target)
    shown = described(bundle)
    if output == "json":
        write_json(shown)
    else:
        write_out("\n".join(_lines(shown)))
    return ExitCode.OK


def _is_json(path: Path) -> bool:
    """Return whether a file is an object of JSON, as a model is and no bundle."""
    try:
        with path.open("rb") as stream:
            return stream.read(64).lstrip()[:1] == b"{"
    except OSError:
        return False  # opening it as a bundle says what is wrong


def _may_be_bundle(path: Path) -> bool:
    """Return whether a file claims to be a bundle; what cannot be read is left to who opens it."""
    from costlens_policy.bundles.archive import is_archive

    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except OSError:
        return True
    return is_archive(start)


def _show_model(path: Path, target: Path | None, output: str) -> ExitCode:
    from costlens_policy.signals.learned import ModelError, read_model

    if target is not None:
        raise click.UsageError("`--unpack` is for bundles; a model is one file")
    content = path.read_bytes()
    try:
        model = read_model(content.decode())
    except (ModelError, UnicodeDecodeError) as error:
        raise InputError(f"`{path}` is no model of a learned signal: {error}") from error
    shown = described_model(model, content)
    if output == "json":
        write_json(shown)
    else:
        write_out("\n".join(_model_lines(shown)))
    return ExitCode.OK


def described_model(model: LearnedModel, content: bytes) -> dict[str, Any]:
    """Return what a model has learned, and from what, as JSON data; ``weights`` are the heaviest of each label."""
    from costlens_policy.signals.learned import heaviest_of

    training = model.training
    return {
        "recognizes": model.tells,
        "digest": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "bytes": len(content),
        "learned_on": training.date,
        "source": training.source,
        "seed": training.seed,
        "data": f"sha256:{training.data}",
        "held_out": training.facts.get("held_out"),
        "notes": training.facts.get("notes", []),
        "labels": {
            label: {"cases": training.cases.get(label), "weights": dict(heaviest_of(model, label))}
            for label in model.classes
        },
    }


def _model_lines(shown: dict[str, Any]) -> Iterator[str]:
    from costlens_policy.diagnostics.text import printable

    yield f"recognizes  {shown['recognizes']}"
    yield f"digest      {shown['digest']}"
    yield printable(f"learned     on {shown['learned_on']} from {shown['source']}, seed {shown['seed']}")
    if shown["held_out"] is not None:
        names = (name.replace("_", " ") for name in shown["held_out"])
        figures = zip(names, shown["held_out"].values(), strict=True)
        yield printable(f"held out    {', '.join(f'{name} {_figure(value)}' for name, value in figures)}")
    yield from (printable(f"note        {text}") for text in shown["notes"])
    yield f"labels      {len(shown['labels'])}, {shown['bytes']:,} bytes"
    for label, found in shown["labels"].items():
        words = ", ".join(f"`{name}` {weight:.0f}" for name, weight in found["weights"].items())
        yield printable(f"  {label} ({found['cases'] or 0:,} cases): {words}")


def _figure(value: Any) -> str:
    return " to ".join(map(str, value)) if isinstance(value, list) else str(value)


def described(bundle: Bundle) -> dict[str, Any]:
    """Return what a bundle says about itself, as JSON data."""
    from costlens_policy.bundles.signing import signature_of

    said, signature = bundle.manifest, signature_of(bundle)
    return {
        "policy_set": said.name,
        "version": said.version,
        "digest": f"sha256:{bundle.digest}",
        "policy_digest": said.policy_digest,
        "catalogue_digest": said.catalogue_digest,
        "built_by": said.program,
        "bytes": len(bundle.packed),
        "signed_by": None if signature is None else signature.key,
        "revision": None if signature is None else signature.revision,
        "files": {name: len(bundle.files[name]) for name in said.files},
    }


def _lines(shown: dict[str, Any]) -> list[str]:
    signed = "nobody" if shown["signed_by"] is None else f"key {shown['signed_by']} (not verified)"
    lines = [
        f"policy set  {shown['policy_set']} {shown['version']}",
        f"digest      {shown['digest']}",
        f"policies    {shown['policy_digest']}",
        f"prices      {shown['catalogue_digest']}",
        f"built by    costlens-policy {shown['built_by']}",
        f"signed by   {signed}",
        *([] if shown["revision"] is None else [f"revision    {shown['revision']}"]),
        f"files       {len(shown['files'])}, {shown['bytes']:,} bytes",
    ]
    return [*lines, *(f"  {size:>9,}  {name}" for name, size in shown["files"].items())]


def _unpack(bundle: Bundle, target: Path) -> None:
    from costlens_policy.errors import InputError

    if target.exists():
        raise InputError(f"`{target}` exists; name a new directory")
    for name, content in bundle.policies.items():
        file = target / name
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        except OSError as error:
            raise InputError(f"`{file}` cannot be written: {(error.strerror or str(error)).lower()}") from error
