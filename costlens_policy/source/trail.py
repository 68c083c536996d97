"""A string in the making that remembers where each of its characters came from."""

from __future__ import annotations

__all__ = ["Trail"]


class Trail:
    """Characters are added in order, either copied from the text or standing for something else in it."""

    __slots__ = ("_files", "_length", "_pieces", "_text", "_values", "last")

    def __init__(self, text: str) -> None:
        self._text = text
        self._pieces: list[str] = []
        self._values: list[int] = []
        self._files: list[int] = []
        self._length = 0
        self.last = 0
        """Offset after the last character, or of the line end that the last character stands for."""

    def copy(self, start: int, end: int) -> None:
        """Add the characters between two offsets of the text."""
        if start < end:
            self._note(start)
            self._pieces.append(self._text[start:end])
            self._length += end - start
            self.last = end

    def write(self, character: str, offset: int) -> None:
        """Add a character that an escape, a doubled quote or a line end at ``offset`` stands for."""
        self._note(offset)
        self._pieces.append(character)
        self._length += 1
        self.last = offset

    def finish(self, offset: int) -> None:
        """Note where the string ends."""
        self._note(offset)

    def value(self) -> str:
        return "".join(self._pieces)

    def stretches(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return where each stretch starts, in the string and in the text; offsets advance in step within one."""
        return tuple(self._values), tuple(self._files)

    def _note(self, offset: int) -> None:
        if self._values and offset - self._files[-1] == self._length - self._values[-1]:
            return
        self._values.append(self._length)
        self._files.append(offset)
