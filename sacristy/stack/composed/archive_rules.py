"""Which archives of images the operator may load into the host's engine: such as images/archive.py writes, no other.

An archive names the images in it, and the engine moves such a name from whatever had it: also from a service of this
stack, which would then be made from it. So every byte by which an engine finds its way in one is compared with what
our own assembler writes: one image, under a model's name; layers and a configuration named by their digests, once
each, as plain files; and manifest.json at the end. An engine finds no image in an archive without that, so it is kept
back until all was seen, and what comes before it may pass meanwhile: images are large.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from tarfile import BLOCKSIZE, GNU_FORMAT, RECORDSIZE, HeaderError, TarInfo
from typing import BinaryIO

from sacristy.images.manifest import MAX_DOCUMENT, canonical
from sacristy.targets.naming import is_name_in_engine

MANIFEST_FILE = "manifest.json"
LAYER, CONFIG = re.compile(r"[0-9a-f]{64}\.tar"), re.compile(r"[0-9a-f]{64}\.json")
MOST_LAYERS = 256  # engines take 127
MAX_MANIFEST = 64 << 10
PART = 1 << 16


class NotOurs(Exception):
    """Why an archive is none that our assembler would write."""


def looked_at(archive: BinaryIO) -> Iterator[bytes]:
    """Yield the bytes of an archive: manifest.json and the end only once it is known that all of it is good.

    Raises NotOurs, and what reading the archive raises; nothing that came until then is an image for an engine.
    """
    names: set[str] = set()
    while True:
        head = _exactly(archive, BLOCKSIZE)
        name, size = _member(head)
        if name == MANIFEST_FILE:
            break
        _check(name, size, names)
        names.add(name)
        yield head
        yield from _content(archive, _padded(size))
    yield head + _last(archive, size, names)


def refusal_of_manifest(document: bytes, names: set[str]) -> str:
    """Return why manifest.json is not what our assembler writes for an archive of these files, or an empty string.

    No other keys either: `Parent` would put the image into the builder's cache, `LayerSources` has layers fetched.
    """
    try:
        (entry,) = json.loads(document)
        config, layers, (tag,) = entry["Config"], entry["Layers"], entry["RepoTags"]
        same = document == canonical([{"Config": config, "Layers": layers, "RepoTags": [tag]}])
    except (ValueError, KeyError, TypeError, RecursionError):
        return f"{MANIFEST_FILE} is not of one image with one name"
    if not same:
        return f"{MANIFEST_FILE} says more, or says it in a way of its own"
    if (
        not _matches(CONFIG, config)
        or not isinstance(layers, list)
        or not all(_matches(LAYER, name) for name in layers)
    ):
        return f"{MANIFEST_FILE} names files by something else than digests"
    if not (isinstance(tag, str) and is_name_in_engine(tag)):
        return f"its name {str(tag)[:200]!r} is not a model's"
    if names - {*layers} != {config}:
        return f"its files are not those that {MANIFEST_FILE} names"
    return ""


def _member(head: bytes) -> tuple[str, int]:
    """Return name and size of a plain file whose header is, byte for byte, the one that our assembler writes."""
    try:
        said = TarInfo.frombuf(head, "ascii", "strict")
        plain = TarInfo(said.name)
        plain.size = said.size
        ours = plain.tobuf(GNU_FORMAT)
    except (HeaderError, ValueError):
        raise NotOurs(f"it is no plain tar archive that ends with {MANIFEST_FILE}") from None
    if said.size < 0 or head != ours:
        raise NotOurs(f"{said.name!r} is not a plain file of plain facts")
    return said.name, said.size


def _check(name: str, size: int, names: set[str]) -> None:
    if name in names:
        raise NotOurs(f"{name} is in it twice")
    if len(names) > MOST_LAYERS:
        raise NotOurs("it has too many files")
    if not LAYER.fullmatch(name) and not (CONFIG.fullmatch(name) and size <= MAX_DOCUMENT):
        raise NotOurs(f"{name!r} is no layer, no configuration, or too large a one")


def _last(archive: BinaryIO, size: int, names: set[str]) -> bytes:
    """Return manifest.json and what follows it to the archive's end, which is nothing but its padding."""
    if size > MAX_MANIFEST:
        raise NotOurs(f"{MANIFEST_FILE} has {size:,} bytes")
    content = _exactly(archive, _padded(size))
    if why := refusal_of_manifest(content[:size], names):
        raise NotOurs(why)
    end = archive.read(2 * RECORDSIZE + 1)
    if any(content[size:]) or any(end) or not 2 * BLOCKSIZE <= len(end) <= 2 * RECORDSIZE:
        raise NotOurs(f"it does not end after {MANIFEST_FILE}")
    return content + end


def _content(archive: BinaryIO, left: int) -> Iterator[bytes]:
    while left:
        part = archive.read(min(left, PART))
        if not part:
            raise NotOurs("it ends in the middle")
        left -= len(part)
        yield part


def _exactly(archive: BinaryIO, size: int) -> bytes:
    return b"".join(_content(archive, size))


def _padded(size: int) -> int:
    return -(-size // BLOCKSIZE) * BLOCKSIZE


def _matches(pattern: re.Pattern[str], name: object) -> bool:
    return isinstance(name, str) and pattern.fullmatch(name) is not None
