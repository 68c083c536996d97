"""Keeping away from locks while the garbage collector closes what nobody refers to.

It may begin wherever an object is made, also where this thread holds the lock of a store. A stream that it closes then
must be charged by another thread, or this one would wait for itself.
"""

from __future__ import annotations

import _thread
import gc
import threading
from collections.abc import Callable
from typing import Any, Final

__all__ = ["apart_from_collecting"]

_HERE: Final = threading.local()


def apart_from_collecting(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function, in another thread where the collector is at work in this one."""
    if getattr(_HERE, "collecting", False):
        try:
            _thread.start_new_thread(function, arguments)  # a `Thread` takes a lock of its own to begin
            return
        except RuntimeError:  # the interpreter is ending, and nothing holds a lock any longer
            pass
    function(*arguments)


def _note(phase: str, _: dict[str, int]) -> None:
    _HERE.collecting = phase == "start"


gc.callbacks.append(_note)
