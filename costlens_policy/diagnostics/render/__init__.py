"""Show diagnostics: as text with the lines they are about, or in the formats that other tools read.

The formats are imported when one is asked for: most runs have nothing to show.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from costlens_policy.diagnostics.render.summary import summary
from costlens_policy.on_demand import on_demand

if TYPE_CHECKING:
    from costlens_policy.diagnostics.render.formats import Format, LinesOf, render

__all__ = ["Format", "LinesOf", "render", "summary"]

_FORMATS = "costlens_policy.diagnostics.render.formats"
__getattr__ = on_demand(__name__, {"Format": _FORMATS, "LinesOf": _FORMATS, "render": _FORMATS})
