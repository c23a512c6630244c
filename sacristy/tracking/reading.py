"""The journal's reading end: whole lines from wherever one has come to, in batches of bounded size."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sacristy.tracking.journal import END, EVENTS

BATCH_BYTES = 4 << 20


class JournalReader:
    """Reads events.jsonl on from where the last batch ended. A line still being written waits for the next."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.torn = 0
        self.more = False  # the last batch was full: the next one waits already
        self._offset = 0

    def batch(self) -> list[Any]:
        """Return the next events: lists (points) and dicts. Lines that are neither count as torn; empty at the end."""
        content = self._complete_lines()
        try:
            return _parsed(content)
        except ValueError:
            return [event for line in content.splitlines() for event in self._line(line)]

    def _complete_lines(self) -> bytes:
        try:
            with (self.folder / EVENTS).open("rb") as file:
                file.seek(self._offset)
                content = file.read(BATCH_BYTES)
                while content and b"\n" not in content:  # one line longer than a batch
                    more = file.read(BATCH_BYTES)
                    if not more:
                        self.more = False
                        return b""
                    content += more
        except FileNotFoundError:
            self.more = False
            return b""
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        self.more = len(content) >= BATCH_BYTES
        return whole

    def _line(self, line: bytes) -> list[Any]:
        try:
            return _parsed(line)
        except ValueError:
            self.torn += 1
            return []

    def leftover(self) -> bool:
        """Say whether the file ends in the middle of a line, as after the machine's failure."""
        return (self.folder / EVENTS).stat().st_size > self._offset


def last_words(folder: Path) -> dict[str, Any] | None:
    """Return what the run wrote at its end, or None before it."""
    try:
        words = json.loads((folder / END).read_bytes())
    except (ValueError, FileNotFoundError):
        return None
    return words if isinstance(words, dict) else None


def _parsed(lines: bytes) -> list[Any]:
    """Parse lines all at once, which is four times as fast as one by one."""
    split = [line for line in lines.split(b"\n") if line]
    found = json.loads(b"[" + b",".join(split) + b"]")
    if len(found) != len(split) or not all(type(event) in (list, dict) for event in found):
        raise ValueError
    return list(found)
