"""The fuzz target of usages, for atheris: ``python -m tests.fuzz.fuzz_usages [OPTION]... NEW SEEDS``.

docs/fuzzing.md says how to run it, and what to do with what it finds.
"""

from __future__ import annotations

import json
import random
import sys

try:
    import atheris
except ImportError:
    sys.exit("error: fuzzing needs atheris: pip install -e '.[fuzz]'")

with atheris.instrument_imports(include=["costlens_policy.usage"]):
    from tests.fuzz.usages import examine, mutated


def _mutate(data: bytes, most: int, seed: int) -> bytes:
    """Change an object as an object, so that it stays JSON; what is none is changed byte by byte."""
    try:
        return json.dumps(mutated(json.loads(data), random.Random(seed))).encode()[:most]
    except (ValueError, RecursionError):
        return atheris.Mutate(data, most)


def main() -> None:
    """Run libFuzzer over the target."""
    atheris.Setup(sys.argv, examine, custom_mutator=_mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
