"""Files that only this user can read. Training imports this too: it needs nothing but the standard library."""

from __future__ import annotations

import os
from pathlib import Path

from sacristy.errors import PathNotWritable


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all. Raises PathNotWritable."""
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.unlink(missing_ok=True)
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise PathNotWritable(path=path, reason=error.strerror) from None
