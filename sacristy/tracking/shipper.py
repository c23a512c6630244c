"""The shipper: reads a run's journal and sends it to MongoDB, as a process beside the training or by `resync`.

`python -m sacristy.tracking.shipper FOLDER`; standard input is the trainer's pipe, whose closing means that
nothing more will come. Exit code 0: all is in the database, and the journal's folder is gone.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import random
import select
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from bson.errors import BSONError
from pymongo.errors import PyMongoError

from sacristy import settings
from sacristy.errors import SacristyError
from sacristy.settings import Role
from sacristy.tracking.capture import shown
from sacristy.tracking.card import write_card
from sacristy.tracking.database import Documents, connect, reason
from sacristy.tracking.journal import OUTPUT, RUN, is_training
from sacristy.tracking.reading import JournalReader, last_words
from sacristy.tracking.sending import Sender
from sacristy.tracking.state import RunState

NICENESS = 10  # the training goes first; a tenth of one core is enough for 50,000 points a second
POLL_S = 0.5
OUTPUT_S = 5.0
SIGN_S = 10.0  # the training tells nothing for longer where its disk is full, or a computation keeps the GIL
PATIENCE_S = 8.0  # without a database, after the training has ended; less than the trainer waits
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 10.0
OWNER = "shipping.lock"
SENT = ".sent"  # ends the name of a folder that is being removed


class Unsent(Exception):
    """The database did not take everything within the shipper's patience."""


class Shipper:
    """Ships one journal. `connect_to` gives the database anew after each failure."""

    def __init__(self, folder: Path, connect_to: Callable[[], Documents], pipe: IO[bytes] | None = None) -> None:
        self.folder = folder
        self.state = RunState(folder.name)
        self.run: int | None = None
        self.complete = False
        self._connect_to = connect_to
        self._pipe = pipe
        self._reader = JournalReader(folder)
        self._sender: Sender | None = None
        self._trouble = ""
        self._said: dict[str, Any] = {}
        self._missing = 0
        self._sign_due = 0.0
        self._output_due = 0.0
        self._output_size = 0

    def ship(self) -> None:
        """Send until the training has ended and everything is in the database. Raises Unsent."""
        ended = False
        while True:
            events = self._reader.batch()
            self.state.apply(events)
            if self.state.started and (events or self.state.changes or time.monotonic() > self._sign_due):
                self._patiently(self._send)
            if self._reader.more:
                continue
            if ended and not events:
                break
            ended = self._training_ended()  # and then once more: something may have come in between
        if not self.state.started:
            return
        if last_words(self.folder) is None:
            self._patiently(self._ask_whether_complete)
        if not self.complete:
            self._finish()
            self._patiently(self._send_last)

    def _training_ended(self) -> bool:
        """Wait for more, and say whether no more can come."""
        if is_training(self.folder):
            self._pause(POLL_S)
        return not is_training(self.folder)

    def _pause(self, seconds: float) -> None:
        """Sleep, but not beyond the end of the training."""
        if self._pipe is None:
            time.sleep(seconds)
        elif select.select([self._pipe], [], [], seconds)[0]:
            self._pipe = None  # closed at the other end

    def _send(self) -> None:
        self._look_at_output()
        self._sending().send()
        self._sign_due = time.monotonic() + SIGN_S

    def _finish(self) -> None:
        """Take the last words into the state, and what is known only now."""
        words = last_words(self.folder)
        if words:
            self.state.end(words)
        else:
            self.state.dead()
        torn = self._reader.torn + self._reader.leftover()
        self._missing = torn + (words or {}).get("lost", 0) + (words is None)
        self._look_at_output(whole=True)
        write_card(self.folder, self.state, self.run, settings.load().service_url("gateway"))

    def _ask_whether_complete(self) -> None:
        """Without last words the run died, unless all of it arrived before, and the journal is what a removal left."""
        self.complete = self._sending().is_complete()

    def _send_last(self) -> None:
        sender = self._sending()
        sender.send(final=True)
        self.complete = sender.complete(self._missing)

    def _look_at_output(self, *, whole: bool = False) -> None:
        """Take what was printed, at most every few seconds; at the end also the whole of it, if it is long."""
        path = self.folder / OUTPUT
        if not path.is_file() or (time.monotonic() < self._output_due and not whole):
            return
        self._output_due = time.monotonic() + OUTPUT_S
        out = shown(path)
        if out.size != self._output_size:
            self._output_size = out.size
            self.state.printed(out.text, out.size, out.omitted)
        if whole and out.omitted:
            self.state.attach("captured_out.txt", OUTPUT, "text/plain")

    def _sending(self) -> Sender:
        if self._sender is None:
            database = self._connect_to()
            self._sender = Sender(database, self.state, self.folder, self._say)
            self._sender.run = self.run
        return self._sender

    def _patiently(self, work: Callable[[], None]) -> None:
        """Do it, again and again if the database is away; without a living trainer only for some seconds."""
        pause, alone_since = FIRST_PAUSE_S, None
        while True:
            try:
                work()
            except BSONError as error:  # no repetition makes a document smaller
                self._trouble = f"MongoDB cannot hold it: {error}"
                self._say()
                raise Unsent(self._trouble) from None
            except (PyMongoError, SacristyError) as error:
                self._failed(error)
                longest = LONGEST_PAUSE_S
                if not is_training(self.folder):
                    longest, alone_since = 1.0, alone_since or time.monotonic()
                    if time.monotonic() - alone_since > PATIENCE_S:
                        raise Unsent(self._trouble) from None
                pause = min(2 * pause, longest)
                self._pause(random.uniform(pause / 2, pause))  # noqa: S311 - many runs must not come back at once
            else:
                self._trouble = ""
                self._say()
                return

    def _failed(self, error: Exception) -> None:
        if isinstance(error, SacristyError):
            self._trouble = str(error)
        else:
            self._trouble = f"MongoDB does not answer: {reason(error)}"
            self.disconnect()
        self._say()

    def disconnect(self) -> None:
        """Close the connection; the next attempt makes a new one."""
        if self._sender is not None:
            self._sender.database.client.close()
            self._sender = None

    def _say(self) -> None:
        """Write run.json for the trainer: the number as soon as it is known, and a sign of life with each progress."""
        if self._sender is not None and self._sender.run is not None:
            self.run = self._sender.run
        now = {"id": self.run, "events": self.state.events, "trouble": self._trouble, "beat": int(time.monotonic())}
        if now == self._said:
            return
        self._said = now
        try:
            (self.folder / f"{RUN}.new").write_text(json.dumps(now))
            os.replace(self.folder / f"{RUN}.new", self.folder / RUN)
        except OSError:
            pass  # a full disk: the trainer then knows less, and nothing is lost


def ship_folder(folder: Path, connect_to: Callable[[], Documents], pipe: IO[bytes] | None = None) -> Shipper | None:
    """Ship a journal and remove its folder; None if another process is at it. Raises Unsent."""
    with (folder / OWNER).open("w") as owner:
        try:
            fcntl.lockf(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return None
        shipper = Shipper(folder, connect_to, pipe)
        try:
            shipper.ship()
        finally:
            shipper.disconnect()
        if shipper.state.started or not shipper.state.events:
            remove(folder)
    return shipper


def remove(folder: Path) -> None:
    """Remove a journal that has been sent: at any moment it is either whole or no journal any more."""
    removed = folder.with_name(folder.name + SENT)
    folder.rename(removed)
    shutil.rmtree(removed)


def training_database() -> Documents:
    """Connect as the training role; the settings are read anew, since the stack may have got another port."""
    settings.load.cache_clear()
    return connect(settings.load(), Role.TRAINING, timeout_ms=2000)


def main() -> int:
    """Ship the journal named on the command line."""
    os.nice(NICENESS)
    gc.set_threshold(100_000, 20, 20)  # a batch is a hundred thousand small lists and no cycle
    try:
        ship_folder(Path(sys.argv[1]), training_database, sys.stdin.buffer)
    except Unsent:
        return 1
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # all is closed; pymongo would make the trainer wait half a second for its idle threads
