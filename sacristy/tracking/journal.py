"""The journal: what a run logs, first of all on local disk, in a folder of its own.

    events.jsonl   a line for each event, only ever appended to; its line number is an event's sequence number
    end.json       the run's last words; kept at full size from the start, so that they fit on a full disk
    output.txt     all that the run printed
    artifacts/     copies of the files it handed over
    run.json       written by the shipper: the run's number, how far it has come, what troubles it
    lock           held by the training process for as long as it lives

A line that is a list is a point: [metric, step, value, milliseconds since 1970]. A line that is an object is
any other event; its key "e" says which: start, beat, note, artifact, diff, resource.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import secrets
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sacristy.errors import JournalNotWritable

EVENTS, END, OUTPUT, ARTIFACTS, RUN, LOCK = "events.jsonl", "end.json", "output.txt", "artifacts", "run.json", "lock"
END_BYTES = 64 * 1024

# os.write gives the GIL away, and a busy Python thread then keeps it for 5 ms and more: measured p99.9 of a call
# 8 ms with it, 0.03 ms with this one, which holds the GIL through a write into the page cache (under 1 us). Argument
# types are not declared, since checking them costs 0.3 us a call: int, bytes and int are passed as C takes them.
_write = ctypes.PyDLL(None).write


class Journal:
    """The writing end, in the training process. `append` is all that a logged point costs.

    What `append` was given is in the kernel when it returns: the death of this process cannot lose it.
    Lines are written whole by one write to a file opened for appending, so threads need no lock. When the disk
    refuses, `strict` raises JournalNotWritable; otherwise it is reported once and the losses are counted.
    """

    append: Callable[[bytes], None]

    def __init__(self, folder: Path, report: Callable[[str], None], *, strict: bool = False) -> None:
        self.folder = folder
        self.strict = strict
        self.lost = 0
        self._report = report
        self._trouble = threading.Lock()
        self._artifacts = 0
        self._closed = False
        self.append = self._append
        try:
            (folder / ARTIFACTS).mkdir(parents=True)
            self._lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
            fcntl.lockf(self._lock, fcntl.LOCK_EX)
            (folder / END).write_text(" " * END_BYTES)
            (folder / OUTPUT).touch()
            self._events = os.open(folder / EVENTS, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
            os.fsync(self._events)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise JournalNotWritable(path=folder, reason=error.strerror) from None

    @classmethod
    def create(cls, journals: Path, model: str, report: Callable[[str], None], *, strict: bool = False) -> Journal:
        """Make a journal with a key that no other has, or raise JournalNotWritable."""
        return cls(journals / f"{model}-{secrets.token_hex(8)}", report, strict=strict)

    @property
    def key(self) -> str:
        """The run's name before it has a number, and for ever after: the folder's name."""
        return self.folder.name

    def event(self, kind: str, **fields: Any) -> None:
        """Append an event of plain values."""
        self.append(json.dumps({"e": kind, **fields}, separators=(",", ":")).encode() + b"\n")

    def keep(self, source: Path, name: str) -> str | None:
        """Copy a file into the journal; return its path there, or None if it could not be (which is reported)."""
        self._artifacts += 1
        target = self.folder / ARTIFACTS / f"{self._artifacts:04d}"
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            target.unlink(missing_ok=True)
            self.lost += 1
            self._report(f"the artifact {name!r} could not be kept: {error.strerror}")
            return None
        return f"{ARTIFACTS}/{target.name}"

    def sync(self) -> None:
        """Bring all that was appended to the disk itself, against the machine's own failure."""
        try:
            os.fdatasync(self._events)
        except OSError as error:
            self._lose(error)

    def end(self, words: dict[str, Any]) -> None:
        """Write the last words in place and close. Later appends are refused and reported, later words passed over.

        Sacred asks twice where a signal comes between a run's end and the end of its observers.
        """
        if self._closed:
            return
        self.sync()
        content = fitting(words)
        try:
            with (self.folder / END).open("r+b") as file:
                file.write(content.ljust(END_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._lose(error)
        self.close()

    def close(self) -> None:
        """Close the files and let go of the lock."""
        if self._closed:
            return
        self._closed = True
        self.append = self._refuse
        os.close(self._events)
        os.close(self._lock)

    def _append(self, line: bytes) -> None:
        written = _write(self._events, line, len(line))
        if written != len(line):
            self.append = self._append_again
            self._append_again(line)

    def _append_again(self, line: bytes) -> None:
        """Append after a failure: the new line break ends what the failed write may have left."""
        with self._trouble:
            try:
                if os.write(self._events, b"\n" + line) == len(line) + 1:
                    self.append = self._append
                else:
                    self.lost += 1  # the next attempt says why
            except OSError as error:
                self._lose(error)

    def _refuse(self, line: bytes) -> None:
        self._report(f"logged after the run's end, and so not recorded: {line[:80].decode(errors='replace').strip()}")

    def _lose(self, error: OSError) -> None:
        self.lost += 1
        if self.strict:
            raise JournalNotWritable(path=self.folder, reason=error.strerror)
        if self.lost == 1:
            self._report(
                f"cannot record the run in {self.folder}: {error.strerror}; "
                "what it logs from now on is lost, and the run will be marked incomplete"
            )


def fitting(words: dict[str, Any]) -> bytes:
    """Return last words so that they fit: a long result is left out, as the last beat told it, and a trace cut."""
    content = json.dumps(words, separators=(",", ":")).encode()
    words = {name: value for name, value in words.items() if name != "result"}
    trace, kept = "".join(words.get("fail_trace") or ()), END_BYTES
    while len(content) > END_BYTES:
        kept //= 2
        if len(trace) > 2 * kept:  # the first and the last of it: where it began, and what was raised
            cut = f"\n… {len(trace) - 2 * kept} characters left out here …\n"
            words["fail_trace"] = [trace[:kept], cut, trace[-kept:]]
        content = json.dumps(words, separators=(",", ":")).encode()
    return content


def is_training(folder: Path) -> bool:
    """Say whether the process that trains this journal's run is alive on this machine."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(lock)
    return False
