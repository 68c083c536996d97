"""Linking: from paths to a policy set with everything that it names."""

from __future__ import annotations

from costlens_policy.checker.link.folders import Found, find_sets, no_policy_set, several_policy_sets
from costlens_policy.checker.link.library import File, Library, Reading
from costlens_policy.checker.link.link import Linked, link_set
from costlens_policy.checker.link.owners import Owners

__all__ = [
    "File", "Found", "Library", "Linked", "Owners", "Reading", "find_sets", "link_set", "no_policy_set",
    "several_policy_sets",
]  # fmt: skip
