"""Ports that stacks of this user were given just now: two that start at once both see the usual ones free."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from sacristy.errors import PathNotWritable
from sacristy.private import write_private
from sacristy.turns import turn

CLAIMED_S = 120.0  # a service that was given a port listens on it long before


def claim(home: Path, choose: Callable[[Collection[int]], int], folder: Path | None = None) -> int:
    """Return the port that `choose` returns, told which ones it may not take; nobody else chooses meanwhile.

    Without a folder that all stacks of this user can write there are no claims: the port is only looked at.
    """
    folder = folder or Path(tempfile.gettempdir()) / f".sacristy-ports-{os.getuid()}"
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not _ours(folder):
        return choose(())
    with turn(folder / "lock", "choosing ports"):
        claims = {port: kept for port, kept in _read(folder / "claims.json").items() if kept["until"] > time.time()}
        port = choose({int(port) for port, kept in claims.items() if kept["home"] != str(home)})
        claims[str(port)] = {"home": str(home), "until": time.time() + CLAIMED_S}
        with suppress(PathNotWritable):  # a full disk: what follows has its own word on that
            write_private(folder / "claims.json", json.dumps(claims))
    return port


def _ours(folder: Path) -> bool:
    """Say whether nobody else has put it there: all users of a machine share its folder for temporary files."""
    try:
        found = folder.lstat()
    except OSError:
        return False
    return folder.is_dir() and not folder.is_symlink() and found.st_uid == os.getuid() and os.access(folder, os.W_OK)


def _read(path: Path) -> dict[str, dict[str, Any]]:
    try:
        claims: dict[str, dict[str, Any]] = json.loads(path.read_text())
        return {str(int(port)): {"home": kept["home"], "until": float(kept["until"])} for port, kept in claims.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
