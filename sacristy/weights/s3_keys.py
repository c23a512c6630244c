"""The keys of the store's users, as `access:secret` in files. Without boto3, which takes 0.1 s to import."""

from __future__ import annotations

import os
from pathlib import Path


def keys(folder: Path, user: str) -> tuple[str | None, str | None]:
    """Return the access and the secret key of a user, or a pair of None to let boto3 look for them."""
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return None, None
    return read_keys(folder / f"ceph-{user}")


def read_keys(path: Path) -> tuple[str | None, str | None]:
    """Return what a file of `access:secret` holds, or a pair of None if there is none."""
    try:
        access, _, secret = path.read_text().strip().partition(":")
    except OSError:
        return None, None
    return access, secret
