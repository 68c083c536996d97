"""Runs a command without what only POSIX has: `python pretend.py windows check policies`.

`windows` and `wasm` stand for what those lack; `wasm` (as Pyodide) has no threads, processes and sockets either. The
libraries that choose their own ways by platform are imported before.
"""

from __future__ import annotations

import asyncio  # noqa: F401 - standard modules look at the platform when they are imported
import os
import random  # noqa: F401
import select
import shutil  # noqa: F401
import signal
import socket
import subprocess
import sys
import tempfile  # noqa: F401
import threading
import time
import zoneinfo  # noqa: F401
from typing import Any, NoReturn

import click  # noqa: F401
import genai_prices  # noqa: F401
import rich.console
import rich.markdown  # noqa: F401

MODULES = (
    "fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "readline", "syslog", "posix", "_posixshmem",
    "multiprocessing",
)  # fmt: skip
NAMES = {
    os: (
        "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "WEXITSTATUS", "chown", "chroot", "copy_file_range",
        "fchmod", "fchown", "fdatasync", "fork", "forkpty", "fstatvfs", "getegid", "geteuid", "getgid", "getgroups",
        "getloadavg", "getlogin", "getpgid", "getppid", "getuid", "getxattr", "killpg", "lchown", "listxattr", "mkfifo",
        "mknod", "nice", "openpty", "posix_fadvise", "posix_fallocate", "pread", "pwrite", "register_at_fork",
        "sched_getaffinity", "sendfile", "setsid", "statvfs", "sync", "ttyname", "uname", "wait3", "wait4",
    ),
    select: ("epoll", "poll"),
    signal: ("SIGALRM", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGUSR1", "alarm", "setitimer"),
    time: ("tzset",),
}  # fmt: skip


def _refuse(*_: Any, **__: Any) -> NoReturn:
    raise OSError("this machine has none")


def _no_thread(_: threading.Thread) -> NoReturn:
    raise RuntimeError("can't start new thread")


def take_away(machine: str) -> None:
    for module in MODULES:
        sys.modules[module] = None  # type: ignore[assignment]  # an import then fails
    for place, names in NAMES.items():
        for name in names:
            if hasattr(place, name):
                delattr(place, name)
    for name in ("HOME", "USER", "LOGNAME"):
        os.environ.pop(name, None)
    sys.platform = "win32" if machine == "windows" else "emscripten"
    if machine == "wasm":
        socket.socket = _refuse  # type: ignore[misc,assignment]
        subprocess.Popen.__init__ = _refuse  # type: ignore[method-assign,assignment]
        threading.Thread.start = _no_thread  # type: ignore[method-assign]


if __name__ == "__main__":
    take_away(sys.argv[1])
    from costlens_policy.cli.app import app

    sys.argv = ["costlens-policy", *sys.argv[2:]]
    app()
