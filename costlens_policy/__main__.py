"""``python -m costlens_policy`` is the command ``costlens-policy``."""

from __future__ import annotations

import sys

from costlens_policy.cli import main

if __name__ == "__main__":
    sys.exit(main())
