"""An image's own layers as files in a folder, for a target that runs without containers.

Nothing of an image is trusted: every layer is verified while it is read, and only plain files and folders with
plain names get out of it.
"""

from __future__ import annotations

import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO

from sacristy.errors import InvalidImage
from sacristy.images.manifest import LAYER, PART, Descriptor, descriptor
from sacristy.images.registry import Registry
from sacristy.weights.atomic import sync_folder, writing
from sacristy.weights.store import CHUNK
from sacristy.weights.verified import chunks

MAX_MEMBERS = 100_000
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


def unpack(registry: Registry, repository: str, digest: str, folder: Path) -> None:
    """Make `folder` hold the image's files (app/...); one that is there already is complete and stays.

    The folder appears when everything in it is verified. Layers of the base are not ours and are left out.
    Raises ImageNotFound, BlobNotFound, BlobDamaged, InvalidImage or PathNotWritable.
    """
    if folder.is_dir():
        return
    reference = f"{repository}@{digest}"
    manifest = registry.manifest(repository, digest)
    with writing(folder.parent):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
        try:
            for layer in _own_layers(manifest["layers"], reference):
                with registry.open_blob(repository, layer.digest) as source:
                    _extract(source, temporary, reference)
            _flush(temporary)
            temporary.chmod(0o755)
            _publish(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _own_layers(entries: list[object], reference: str) -> Iterator[Descriptor]:
    for entry in entries:
        layer = descriptor(entry, reference)
        if PART not in layer.annotations:
            continue
        if layer.media_type != LAYER:
            raise InvalidImage(reference=reference, reason=f"a layer of type {layer.media_type}")
        yield layer


def _extract(source: BinaryIO, folder: Path, reference: str) -> None:
    try:
        with tarfile.open(fileobj=source, mode="r|", errorlevel=2) as archive:
            for count, member in enumerate(archive):
                if count >= MAX_MEMBERS:
                    raise InvalidImage(reference=reference, reason=f"more than {MAX_MEMBERS} files in a layer")
                _extract_member(archive, member, folder, reference)
    except tarfile.TarError as error:
        raise InvalidImage(reference=reference, reason=f"a layer that is no tar: {error}") from None
    for _ in chunks(source):  # reaching the end is what verifies
        pass


def _extract_member(archive: tarfile.TarFile, member: tarfile.TarInfo, folder: Path, reference: str) -> None:
    target = folder / safe_path(member.name, reference)
    if member.type not in (*FILES, tarfile.DIRTYPE) or member.sparse is not None:
        raise InvalidImage(reference=reference, reason=f"{member.name!r} is a link or no plain file")
    try:
        if member.type == tarfile.DIRTYPE:
            target.mkdir(mode=0o755, parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            _write(archive.extractfile(member), target, 0o755 if member.mode & 0o100 else 0o644)
    except (FileExistsError, NotADirectoryError):
        raise InvalidImage(reference=reference, reason=f"{member.name!r} occurs twice or in a file") from None


def _write(content: IO[bytes] | None, target: Path, mode: int) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        if content:
            shutil.copyfileobj(content, file, CHUNK)


def safe_path(name: str, reference: str) -> str:
    """Return a member's name if it stays below app/, or raise InvalidImage."""
    parts = name.removesuffix("/").split("/")
    if parts[0] != "app" or any(part in ("", ".", "..") or re.search(r"[\x00-\x1f\\]", part) for part in parts):
        raise InvalidImage(reference=reference, reason=f"{name!r} does not stay in the image's folder")
    return "/".join(parts)


def _flush(folder: Path) -> None:
    """Let the files survive a power cut before the folder's name says that they are complete."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _publish(temporary: Path, folder: Path) -> None:
    try:
        temporary.rename(folder)
    except OSError:
        if not folder.is_dir():  # another process was first, with the same content
            raise
    sync_folder(folder.parent)
