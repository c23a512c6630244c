"""Carries one errand out: `python -m sacristy.gateway.errand_runner FOLDER`, begun by errands.py."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from pathlib import Path

import psutil

from sacristy.commands import follow
from sacristy.gateway.errands import ENDED, RUNNER, WHAT, Errand, write
from sacristy.gateway.orders import START
from sacristy.processes import after_boot_s


def carry_out(folder: Path) -> int:
    """Run the commands of an errand one after another, until one fails, and return the last code."""
    started = time.monotonic()
    write(folder / RUNNER, {"pid": os.getpid(), "after_boot_s": after_boot_s(psutil.Process())})
    errand = Errand(**json.loads((folder / WHAT).read_text()))
    code = 1
    try:
        for words in errand.commands:
            print(f"$ sacristy {shlex.join(words)}", flush=True)
            code = follow([sys.executable, "-c", START, *words])
            if code:
                break
    finally:
        write(folder / ENDED, {"code": code, "took_s": time.monotonic() - started})
    return code


if __name__ == "__main__":
    sys.exit(carry_out(Path(sys.argv[1])))
