"""Everything that is measured on the same rules: one small adapter for each, imported where its package is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from benchmarks.rules import Decide, Rule

__all__ = ["CONTESTANTS", "Contestant"]


@dataclass(frozen=True, slots=True)
class Contestant:
    """``key`` names it on the command line; ``adapter`` is the function that prepares it, as ``module:function``.

    ``distribution`` is its name on PyPI, empty for what needs no package of others. ``quick`` is the largest number
    of rules for which a quick run has the time.
    """

    key: str
    title: str
    distribution: str
    adapter: str
    quick: int = 10_000
    is_peer: bool = True

    def prepare(self, rules: Sequence[Rule]) -> Decide:
        """Compile the rules. Raises ``ImportError`` where the package is absent."""
        module, _, function = self.adapter.partition(":")
        prepare: Callable[[Sequence[Rule]], Decide] = getattr(import_module(f"benchmarks.peers.{module}"), function)
        return prepare(rules)

    @property
    def installed(self) -> str | None:
        """The version of the package, or None where it is absent."""
        try:
            return version(self.distribution) if self.distribution else ""
        except PackageNotFoundError:
            return None


CONTESTANTS: Final = (
    Contestant("index", "hand-written dict index (floor)", "", "floors:prepare_index", is_peer=False),
    Contestant("chain", "hand-written if chain (floor)", "", "floors:prepare_chain", is_peer=False),
    Contestant("conditions", "costlens-policy, conditions alone", "", "costlens:prepare_conditions", is_peer=False),
    Contestant("decide", "costlens-policy, full Decision", "", "costlens:prepare_decide", is_peer=False),
    Contestant("zen", "zen-engine, static loader", "zen-engine", "zen:prepare"),
    Contestant("cel-rust", "CEL in Rust, N expressions", "common-expression-language", "cel_rust:prepare"),
    Contestant("cel-cpp", "CEL in C++, N expressions", "cel-expr-python", "cel_cpp:prepare_each"),
    Contestant("cel-cpp-list", "CEL in C++, one list expression", "cel-expr-python", "cel_cpp:prepare_list"),
    Contestant("cedar", "cedarpy, context conditions", "cedarpy", "cedar:prepare"),
    Contestant("rego", "regopy, else chain", "regopy", "rego:prepare", quick=200),
    Contestant("rule-engine", "rule-engine, N rules", "rule-engine", "rule_engine:prepare", quick=200),
    Contestant("celpy-transpiled", "cel-python, transpiled", "cel-python", "cel_python:prepare_transpiled", quick=200),
    Contestant(
        "celpy-interpreted", "cel-python, interpreted", "cel-python", "cel_python:prepare_interpreted", quick=200
    ),
)  # fmt: skip
