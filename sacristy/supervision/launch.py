"""Become a supervised program: `python -I -S launch.py program.json`. Standard library only, and quick.

The program gets exactly the arguments and the environment of the JSON file, whatever characters they hold, and no
secret among them shows in a command line. On Linux the kernel ends it (TERM) when its supervisor dies, so that a
killed supervisor leaves no orphan behind that holds a port or a database.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES")
PR_SET_PDEATHSIG = 1
NOT_STARTED = 127


def main(path: str) -> None:
    """Replace this process by the program that the file at `path` describes; exit code 127 where that fails."""
    with open(path, encoding="utf-8") as file:
        program = json.load(file)
    argv: list[str] = program["argv"]
    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    try:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        os.chdir(program["folder"])
        os.execvpe(argv[0], argv, inherited | program["environment"])  # noqa: S606 - no shell is the point
    except OSError as error:
        print(f"cannot start {argv[0]}: {error}", file=sys.stderr)
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1])
