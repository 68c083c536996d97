"""``python -m tests.service.failing POLICIES``: serves with workers that cannot start, though all was well before."""

from __future__ import annotations

import multiprocessing
import sys

from costlens_policy import InputError
from costlens_policy.live import Source
from costlens_policy.service.run import serve
from costlens_policy.service.settings import Address, Open, Settings


class _Failing(Settings):
    """Settings whose policies are gone for workers."""

    def source(self) -> Source:
        if multiprocessing.parent_process() is not None:
            raise InputError("the policies are gone")
        return super().source()


if __name__ == "__main__":
    from tests.service import failing

    settings = failing._Failing((sys.argv[1],), "sqlite:///spend.db", None, frozenset({Open.EVERYTHING}))
    served = serve(settings, [Address("127.0.0.1", 0)], workers=2, ready=lambda _: sys.stderr.write("listening"))
    sys.exit(0 if served else 6)
