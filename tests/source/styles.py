"""Write strings in each style of YAML scalars, for property tests."""

from __future__ import annotations

import yaml
from hypothesis import strategies as st

from costlens_policy.source.compose import compose
from costlens_policy.source.located import LocatedValue
from costlens_policy.source.read import source_of

WORDS = st.text(st.sampled_from("ab'\"\\: 😀漢é\t#-"), max_size=12)
LINE_ENDS = st.sampled_from(["\n", "\r\n"])


def first_value(text: str) -> LocatedValue | None:
    """Return the value of the first key, or None where the text is refused."""
    composed = compose(source_of(text))
    if composed.diagnostics or not composed.documents:
        return None
    entry = next(composed.documents[0].root.entries(), None)
    return entry.value if entry is not None and isinstance(entry.value.content, str) else None


def parsed(text: str) -> object:
    """Return what PyYAML makes of the first value."""
    loader = yaml.CBaseLoader if yaml.__with_libyaml__ else yaml.BaseLoader
    return next(iter(yaml.load(text, Loader=loader).values()))
