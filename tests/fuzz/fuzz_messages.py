"""The fuzz target of messages, for atheris: ``python -m tests.fuzz.fuzz_messages [OPTION]... NEW SEEDS``.

docs/fuzzing.md says how to run it, and what to do with what it finds.
"""

from __future__ import annotations

import sys

try:
    import atheris
except ImportError:
    sys.exit("error: fuzzing needs atheris: pip install -e '.[fuzz]'")

with atheris.instrument_imports(include=["costlens_policy.tokens", "costlens_policy.rewrites"]):
    from tests.fuzz.messages import examine_bytes


def main() -> None:
    """Run libFuzzer over the target."""
    atheris.Setup(sys.argv, examine_bytes)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
