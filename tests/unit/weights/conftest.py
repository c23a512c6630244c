from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sacristy.weights.folder import FolderStore


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, bytes], Path]:
    """Return a function that writes a file into the folder `files` and returns its path."""

    def write(name: str, content: bytes) -> Path:
        path = tmp_path / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def tensors() -> Callable[..., bytes]:
    """Return a function that gives the bytes of a safetensors file: a header as a dictionary, then the data."""

    def tensors(header: dict[str, object], data: bytes = b"") -> bytes:
        content = json.dumps(header).encode()
        return len(content).to_bytes(8, "little") + content + data

    return tensors
