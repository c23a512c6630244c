"""Rate limits that all workers of the gateway share: one number for each key, in a file that they map into memory.

The number is the moment up to which a key's requests are paid for (the generic cell rate algorithm, GCRA): each
request adds 1/rate seconds, and it is refused once the moment lies more than burst/rate seconds ahead.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SLOTS = 1 << 15  # two keys in one slot share its limit; with 100 active keys that has a chance of 1 in 7 at all
SLOT = struct.Struct("=d")


@dataclass(frozen=True)
class Rate:
    """So many requests per second, and so many at once."""

    per_second: float
    burst: float


class Limits:
    """Counts what each key takes. Thread-safe; two workers may take the same one at the very same moment.

    Against that a lock of the file would help, which costs more than such a request is worth.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        """Make the file if it is missing."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        os.ftruncate(self._file, SLOTS * SLOT.size)
        self._memory = mmap.mmap(self._file, SLOTS * SLOT.size)
        self._lock = threading.Lock()
        self._clock = clock

    def take(self, key: str, rate: Rate) -> float:
        """Take one request; return 0.0, or the seconds to wait if there is none to be taken."""
        return self._use(key, rate, 1.0)

    def wait(self, key: str, rate: Rate) -> float:
        """Return the seconds until one could be taken, and take none."""
        return self._use(key, rate, 0.0)

    def _use(self, key: str, rate: Rate, amount: float) -> float:
        place = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=4).digest()) % SLOTS * SLOT.size
        window = rate.burst / rate.per_second
        with self._lock:
            now = self._clock()
            (paid,) = SLOT.unpack_from(self._memory, place)
            if not now <= paid <= now + window + 1e-6:  # long ago, or after the clock was set back
                paid = now
            after = paid + 1 / rate.per_second
            if after > now + window + 1e-9:
                return float(after - now - window)
            if amount:
                SLOT.pack_into(self._memory, place, after)
            return 0.0

    def close(self) -> None:
        """Let go of the file."""
        self._memory.close()
        os.close(self._file)
