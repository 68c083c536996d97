"""The documents of a bundle in a folder of their own, and the plan that they compile to there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from costlens_policy.bundles.errors import BundleError
from costlens_policy.compiler.plan import Plan
from costlens_policy.errors import InputError

__all__ = ["compiled", "compiled_in", "laid_out"]


def compiled(documents: Mapping[str, bytes], policy_set: str) -> Plan:
    """Compile the policy set of some documents; its rules are shown at paths within them. Raises ``PolicyError``."""
    with laid_out(documents) as folder:
        return compiled_in(folder, policy_set)


def compiled_in(folder: Path, path: str) -> Plan:
    """Compile the policy set at a path within a folder; nothing says any more where the folder was.

    What ``check`` refuses although it can be compiled is logged. Raises ``PolicyError``.
    """
    from costlens_policy.diagnostics.model import PolicyError
    from costlens_policy.saving.cache import read_policies

    try:
        plan = read_policies([folder / path], cache=False).plan
    except PolicyError as error:
        raise _without(error, folder) from None
    return _moved(plan, f"{folder}{os.sep}")


def _moved(plan: Plan, prefix: str) -> Plan:
    """Return a plan without the folder that it was compiled in."""
    from costlens_policy.saving.encoding import NotSavable, decode, encode

    try:
        encoded = encode(plan)
    except NotSavable as error:
        raise BundleError(f"the plan of `{plan.name}` cannot be packed: {error}") from error
    leaves = [leaf.removeprefix(prefix) if isinstance(leaf, str) else leaf for leaf in encoded["leaves"]]
    moved: Plan = decode(encoded | {"leaves": leaves})
    return moved


def _without(error: Any, folder: Path) -> Exception:
    """Return an error whose places are those in the bundle."""
    from dataclasses import replace

    from costlens_policy.diagnostics.model import PolicyError

    prefix = f"{folder}{os.sep}"

    def moved(item: Any) -> Any:
        span = item.span and replace(item.span, file=item.span.file.removeprefix(prefix))
        return replace(item, span=span, message=item.message.replace(prefix, ""), related=())

    return PolicyError([moved(item) for item in error.diagnostics])


@contextmanager
def laid_out(documents: Mapping[str, bytes]) -> Iterator[Path]:
    """Give a new folder with some files, whose names are safe, for as long as it is needed. Raises ``InputError``."""
    from tempfile import TemporaryDirectory

    with ExitStack() as stack:
        try:
            folder = Path(os.path.realpath(stack.enter_context(TemporaryDirectory(prefix="costlens-policy-"))))
            (folder / ".git").mkdir()  # a checkout: references do not leave it
            for path, text in documents.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(text)
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise InputError(f"a bundle cannot be laid out in a temporary folder: {reason}") from error
        yield folder
