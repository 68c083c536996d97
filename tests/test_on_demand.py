"""Names that packages import on demand, and the version that a module of its own states."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

import costlens_policy

_PACKAGES = (
    "costlens_policy",
    "costlens_policy.checker",
    "costlens_policy.compiler",
    "costlens_policy.diagnostics.render",
    "costlens_policy.documents",
    "costlens_policy.expressions",
    "costlens_policy.rewrites",
)


@pytest.mark.parametrize("package", _PACKAGES)
def test_every_name_is_there_and_no_module_hides_it(package: str) -> None:
    module = import_module(package)
    assert module.__file__ is not None
    modules = {path.stem for path in Path(module.__file__).parent.iterdir()}
    for name in module.__all__:
        assert getattr(module, name) is getattr(module, name)
        assert name not in modules or "__getattr__" not in vars(module) or name in _eager(module.__file__)


def _eager(file: str) -> str:
    """Return what a package imports at once: the text before its names for the type checker."""
    return Path(file).read_text(encoding="utf-8").partition("if TYPE_CHECKING:")[0]


def test_other_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="module `costlens_policy` has no attribute `lod`"):
        costlens_policy.lod  # noqa: B018 (it raises)


def test_the_version_is_that_of_the_distribution() -> None:
    assert costlens_policy.__version__ == version("costlens-policy")
