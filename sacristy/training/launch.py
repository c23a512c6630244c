"""torchrun, for one node: `python -m sacristy.training.launch TORCHRUN'S-OPTIONS train.py [Sacred's words]`.

It runs in the model's environment. Rank 0 has the terminal as if it were alone; what the others print comes with their
ranks before it. The exit code is that of the rank which failed first: torchrun's own would be 1 in any case.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ENDING_S = 60  # for rank 0 to store everything
LAST_LINES = 10
PREFIX = "[rank ${rank}] "
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
OPTIONS = ("--monitor-interval=0.02", f"--shutdown-timeout={ENDING_S}", "--max-restarts=0")
NO_TORCH_EXIT_CODE = 69  # as in sysexits.h


def main(argv: Sequence[str]) -> int:
    """Train with all ranks of this node, and return the exit code as a shell would."""
    try:
        from torch.distributed import run as torchrun
        from torch.distributed.elastic.multiprocessing.api import SignalException
        from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    except ModuleNotFoundError as error:
        report(f"training.workers of model.toml is more than 1, which takes torch: {error}")
        return NO_TORCH_EXIT_CODE
    logging.disable(logging.ERROR)  # what is to be said is said here
    os.environ.setdefault("TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE", PREFIX)
    with tempfile.TemporaryDirectory(prefix="sacristy-ranks-") as logs:
        options = torchrun.parse_args([*OPTIONS, f"--log-dir={logs}", *argv])
        asked = [each.name for each in ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup ignores one
        options.signals_to_handle = ",".join(asked)
        options.tee = teed(int(options.node_rank), int(options.nproc_per_node))
        try:
            torchrun.run(options)
        except SignalException as error:
            return 128 + int(error.sigval)
        except ChildFailedError as error:
            number, failure = next(iter(error.failures.items()))  # they are in the order in which they were seen
            code = shell_code(failure.exitcode)
            report("\n  ".join((f"rank {number} ended with code {code}", *last_lines(Path(logs), failure.local_rank))))
            return code
    return 0


def teed(node: int, processes: int) -> str:
    """Return whose output torchrun is to copy, by local rank: all but that of rank 0."""
    return ",".join(f"{each}:3" for each in range(processes) if node or each) or "0"


def shell_code(code: int) -> int:
    """Return an exit code as a shell has it."""
    return code if code >= 0 else 128 - code


def last_lines(logs: Path, local_rank: int) -> Iterator[str]:
    """Yield the last lines that a rank printed, if its output was copied: of its errors, else of the other."""
    for name in ("stderr.log", "stdout.log"):
        for path in logs.glob(f"*/attempt_*/{local_rank}/{name}"):
            lines: list[Any] = path.read_text(errors="replace").strip().splitlines()
            if lines:
                yield from lines[-LAST_LINES:]
                return


def report(line: str) -> None:
    """Say something to whoever sees the training."""
    print(f"sacristy: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
