"""A pod's training as a child process: told to end, watched, and listened to where others are to see what it prints."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import BinaryIO, cast

from sacristy.training.crew import Chief, Member
from sacristy.training.keeping import Keeper
from sacristy.training.launch import report, shell_code

POLL_S = 0.2
LAST_LINES = 10
OOM_FILES = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))  # cgroup v2, v1
KILLED = 128 + signal.SIGKILL


class Training:
    """SIGTERM is passed on once: then the training stores everything and ends. One of several workers leaves first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._crew: Chief | Member | None = None
        self._told = False
        self._last: deque[str] = deque(maxlen=LAST_LINES)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)

    def run(
        self,
        argv: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        keeper: Keeper | None,
        crew: Chief | Member | None,
    ) -> int:
        """Train to the end, with checkpoints brought to the store; return the exit code as a shell would.

        Of several workers it is the code that all of them end with.
        """
        self._crew = crew
        out = subprocess.PIPE if isinstance(crew, Member) else None
        errors = subprocess.STDOUT if out else None
        self._process = subprocess.Popen(argv, env=os.environ | environment, cwd=folder, stdout=out, stderr=errors)
        listener = self._listen(crew) if isinstance(crew, Member) else None
        if self._told and not isinstance(crew, Member):
            self._process.terminate()
        over = False
        while not self._ended_within(POLL_S):
            if keeper:
                keeper.look()
            if isinstance(crew, Member) and self._told:
                crew.leave()
            if crew and not over and crew.is_over():
                over = True
                self._process.terminate()
        if listener:
            listener.join()
        return self._settled(self._code(self._process.returncode))

    def _ended_within(self, seconds: float) -> bool:
        try:
            cast("subprocess.Popen[bytes]", self._process).wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _settled(self, code: int) -> int:
        if isinstance(self._crew, Member):
            return self._crew.settle(code, tuple(self._last))
        return self._crew.settle(code) if self._crew else code

    def _code(self, returned: int) -> int:
        code = shell_code(returned)
        if code == KILLED and out_of_memory():
            report("the training was killed: it took more memory than resources.memory_mib of its model.toml")
            return 1  # 137 would have the Job try it again
        return code

    def _listen(self, crew: Member) -> threading.Thread:
        stream = cast("BinaryIO", cast("subprocess.Popen[bytes]", self._process).stdout)

        def listen() -> None:
            for raw in stream:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                print(line, flush=True)
                self._last.append(line)
                crew.say(line)

        thread = threading.Thread(target=listen, name="what the training prints", daemon=True)
        thread.start()
        return thread

    def _end(self, _number: int, _frame: FrameType | None) -> None:
        if self._process is None and not self._told:
            self._told = True
            raise SystemExit(128 + signal.SIGTERM)
        if self._process is not None and not self._told:
            self._told = True
            if not isinstance(self._crew, Member):
                self._process.terminate()


def out_of_memory() -> bool:
    """Say whether the kernel has killed a process of this container for its memory."""
    for path in OOM_FILES:
        try:
            words = path.read_text().split()
        except OSError:
            continue
        return "oom_kill" in words and int(words[words.index("oom_kill") + 1]) > 0
    return False
