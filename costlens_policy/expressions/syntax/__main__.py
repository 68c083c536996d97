"""Make the tables of the grammar again: needed when cel-python or our additions to its grammar change."""

from __future__ import annotations

from costlens_policy.expressions.syntax.grammar import store

if __name__ == "__main__":
    store()
