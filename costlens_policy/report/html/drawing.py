"""Vega-Lite's charts as drawings (SVG) inside a page, in the colours of its style sheet."""

from __future__ import annotations

import re
from typing import Any, Final

import vl_convert

from costlens_policy.diagnostics.text import printable

__all__ = ["COLOURS", "draw"]

_VERSION: Final = "5.20"
COLOURS: Final = tuple(f"var(--series-{number})" for number in range(1, 7))
"""Of series, in order; the last one is for what is left."""

_CONFIG: Final[dict[str, Any]] = {
    "background": None,
    "font": "sans-serif",
    "padding": 2,
    "view": {"stroke": None},
    "axis": {
        "labelColor": "var(--muted)", "titleColor": "var(--muted)", "gridColor": "var(--line)",
        "domainColor": "var(--line)", "tickColor": "var(--line)", "labelFontSize": 11, "titleFontSize": 11,
        "titleFontWeight": "normal", "labelLimit": 150, "domain": False, "ticks": False, "labelPadding": 6,
    },
    "text": {"color": "var(--ink)", "fontSize": 11},
}  # fmt: skip
_ID: Final = re.compile(r'(id="|url\(#)((?:clip|gradient_?)\d+)')
_LABELLED: Final = re.compile(
    r'<path aria-label="(?P<label>[^"]*)" role="graphics-symbol" aria-roledescription="[^"]*"(?P<rest>[^>]*?)/>'
)
_UNSEEN: Final = re.compile(
    r'<path class="(?:fore|back)ground"[^>]*/>|<text [^>]*opacity="0"[^>]*>[^<]*</text>'
    r'| (?:pointer-events|font-family|font-weight|aria-hidden|aria-roledescription|class)="[^"]*"'
    r'| role="graphics-(?:object|symbol)"| aria-label="[XY]-axis[^"]*"| opacity="1"'
)
_LONG: Final = re.compile(r"(\d\.\d{2})\d+")
_SIZE: Final = re.compile(r'^<svg [^>]*?width="(?P<width>[\d.]+)" height="(?P<height>[\d.]+)"[^>]*>')


def draw(spec: dict[str, Any], name: str, title: str) -> str:
    """Return a chart as an ``svg`` element that fits its container; ``name`` keeps its ids apart from others'.

    Marks carry what they stand for as a ``title``, which browsers show on hovering and screen readers say.
    """
    svg = vl_convert.vegalite_to_svg({**_drawable(spec), "config": _CONFIG}, vl_version=_VERSION)
    size = _SIZE.match(svg)
    assert size is not None, "a drawing says how large it is"
    inner = svg[size.end() : svg.rindex("</svg>")]
    numbers: dict[str, str] = {}
    inner = _ID.sub(lambda found: found[1] + numbers.setdefault(found[2], f"{name}-{len(numbers)}"), inner)
    inner = _LABELLED.sub(r"<path\g<rest>><title>\g<label></title></path>", inner)
    inner = re.sub(r"<[^>]*>", lambda tag: _LONG.sub(r"\1", tag[0]), _UNSEEN.sub("", inner))
    box = f'viewBox="0 0 {size["width"]} {size["height"]}"'
    return f'<svg {box} style="max-width:{size["width"]}px" role="img" aria-label="{title}">{inner}</svg>'


def _drawable(value: Any) -> Any:
    """Return a specification whose texts can be drawn: on a control character the drawing library ends the process."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {name: _drawable(item) for name, item in value.items()}
    return [_drawable(item) for item in value] if isinstance(value, list) else value
