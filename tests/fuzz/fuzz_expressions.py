"""The fuzz target of expressions, for atheris: ``python -m tests.fuzz.fuzz_expressions [OPTION]... NEW SEEDS``.

docs/fuzzing.md says how to run it, and what to do with what it finds.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("error: fuzzing needs atheris: pip install -e '.[fuzz]'")

with atheris.instrument_imports(include=["costlens_policy.expressions"]):
    from tests.fuzz.examination import examine, words


def main() -> None:
    """Run libFuzzer over the target, with a dictionary of what expressions are made of."""
    with tempfile.TemporaryDirectory() as folder:
        dictionary = Path(folder, "words.dict")
        dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words()), encoding="ascii")
        atheris.Setup([*sys.argv, f"-dict={dictionary}"], examine)
        atheris.Fuzz()


def _escaped(word: str) -> str:
    plain = (byte for byte in word.encode("utf-8"))
    return "".join(chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else f"\\x{byte:02X}" for byte in plain)


if __name__ == "__main__":
    main()
