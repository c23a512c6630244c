"""Layers: plain tar files whose bytes follow from their content alone.

Members are sorted; owner 0:0, time 0, mode 0644 or 0755; headers are written here one by one, so neither the
machine nor tarfile's own buffering shows in them. Not compressed: weights do not shrink, and an equal file stays equal.
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Protocol

from sacristy.errors import BlobDamaged
from sacristy.names import blob_key, parse_file
from sacristy.sources import Files
from sacristy.tracking.runs import WeightsFile
from sacristy.weights.store import Store
from sacristy.weights.verified import chunks

APP = "app"
OWN_LAYER = 1 << 20  # bytes from which a weights file gets a layer of its own, which another version can share
MOST_OWN_LAYERS = 32  # a container's file system takes some 120 layers in all


class Writer(Protocol):
    """Where a layer goes."""

    def write(self, data: bytes | memoryview) -> int:
        """Append bytes."""


@dataclass(frozen=True)
class Member:
    """A file of a layer: its bytes, or how to open them for verified reading."""

    path: str
    size: int
    content: bytes | Callable[[], BinaryIO]
    executable: bool = False
    digest: str = ""


def write_layer(out: Writer, members: Iterable[Member]) -> None:
    """Write a tar of the members and the folders above them. Raises BlobDamaged if a member is not what was listed."""
    ordered = sorted(members, key=lambda member: member.path)
    folders = {str(folder) for member in ordered for folder in PurePosixPath(member.path).parents} - {"."}
    entries: dict[str, Member | None] = {folder: None for folder in folders}
    entries |= {member.path: member for member in ordered}
    for path in sorted(entries):
        member = entries[path]
        out.write(_header(path, member))
        if member:
            _write_content(out, member)
    out.write(bytes(2 * tarfile.BLOCKSIZE))


def runtime_members(sources: Files) -> list[Member]:
    """Return sacristy.serving and what it needs, as app/sacristy/..."""
    return _code(sources, "sacristy/", f"{APP}/sacristy/")


def model_members(sources: Files, model: str) -> list[Member]:
    """Return the model's folder as app/model/..., without its tests."""
    kept = {path: file for path, file in sources.items() if not path.startswith(f"models/{model}/tests/")}
    return _code(kept, f"models/{model}/", f"{APP}/model/")


def weights_layers(store: Store, files: Sequence[WeightsFile]) -> list[list[Member]]:
    """Return the members of the weights' layers: the largest files alone, the small ones together."""
    large = sorted((file for file in files if file.size >= OWN_LAYER), key=lambda file: (-file.size, file.name))
    alone = {file.name for file in large[:MOST_OWN_LAYERS]}
    members = {file.name: _weights_member(store, file) for file in files}
    together = [member for name, member in sorted(members.items()) if name not in alone]
    return [[members[name]] for name in sorted(alone)] + ([together] if together else [])


def baseline_member(content: bytes) -> Member:
    """Return app/baseline.json."""
    return Member(f"{APP}/baseline.json", len(content), content)


def _code(sources: Files, prefix: str, target: str) -> list[Member]:
    return [
        Member(target + path.removeprefix(prefix), len(file.content), file.content, file.executable)
        for path, file in sources.items()
        if path.startswith(prefix)
    ]


def _weights_member(store: Store, file: WeightsFile) -> Member:
    path = f"{APP}/weights/{parse_file(file.name)}"
    return Member(path, file.size, lambda: store.open(file.digest), digest=file.digest)


def _header(path: str, member: Member | None) -> bytes:
    info = tarfile.TarInfo(path)
    info.type = tarfile.REGTYPE if member else tarfile.DIRTYPE
    info.size = member.size if member else 0
    info.mode = 0o644 if member and not member.executable else 0o755
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def _write_content(out: Writer, member: Member) -> None:
    count = 0
    if isinstance(member.content, bytes):
        count = out.write(member.content)
    else:
        with member.content() as source:
            for chunk in chunks(source):
                count += out.write(chunk)
    if count != member.size:
        found = f"{count} bytes instead of {member.size}"
        raise BlobDamaged(key=blob_key(member.digest), location=member.path, expected=member.digest, found=found)
    out.write(bytes(-count % tarfile.BLOCKSIZE))
