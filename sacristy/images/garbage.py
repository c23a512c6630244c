"""What a repository holds that nothing refers to any more, and removing it where that is ours to do."""

from __future__ import annotations

import time
from collections.abc import Set
from contextlib import suppress
from dataclasses import dataclass, field

from sacristy.errors import InvalidImage
from sacristy.images.index import Index
from sacristy.images.layout import FolderRegistry, OciLayout
from sacristy.images.manifest import blobs, read_manifest
from sacristy.images.registry import Registry

GRACE_S = 24 * 3600.0  # a younger blob may belong to a push whose manifest is still to come


@dataclass
class Garbage:
    """What was removed, or for a registry that collects by itself (`removed` is false) what it can remove.

    `kept_bytes`: nothing refers to them either, but they are younger than the grace period.
    """

    removed: bool
    blobs: int = 0
    bytes: int = 0
    kept_blobs: int = 0
    kept_bytes: int = 0
    digests: list[str] = field(default_factory=list)


def sizes(registry: Registry, repository: str, digests: Set[str]) -> dict[str, int]:
    """Return the bytes of each blob that these manifests refer to, each manifest included."""
    found: dict[str, int] = {}
    for digest in digests:
        content = registry.read_manifest(repository, digest)
        found[digest] = len(content)
        found |= {blob.digest: blob.size for blob in blobs(read_manifest(content, f"{repository}@{digest}"))}
    return found


def collect(registry: Registry, repository: str, gone: dict[str, int], grace_s: float = GRACE_S) -> Garbage:
    """Remove the blobs that no manifest of a repository refers to; `gone`: bytes of each that manifests used to name.

    An OCI layout is cleaned here, under its lock. A registry over HTTP collects by itself (for the CNCF registry:
    `registry garbage-collect`), so that for it this is a report of what that will free.
    """
    if isinstance(registry, FolderRegistry):
        return _clean(registry.layout(repository), grace_s)
    rest: dict[str, int] = {}
    for digest in set(registry.tags(repository).values()):
        with suppress(InvalidImage):  # an index, that other tools put beside an image: it names no blobs
            rest |= sizes(registry, repository, {digest})
    freed = {digest: size for digest, size in gone.items() if digest not in rest}
    return Garbage(False, len(freed), sum(freed.values()), digests=sorted(freed))


def _clean(layout: OciLayout, grace_s: float) -> Garbage:
    before = time.time() - grace_s
    report = Garbage(True)
    with layout.changed_index() as index:
        _forget_untagged(layout, index, before)
        wanted = _referenced(layout, index)
        for blob in list(layout.store.list()):
            if blob.digest in wanted:
                continue
            if blob.modified > before:
                report.kept_blobs, report.kept_bytes = report.kept_blobs + 1, report.kept_bytes + blob.size
                continue
            layout.store.delete(blob.digest)
            report.blobs, report.bytes = report.blobs + 1, report.bytes + blob.size
            report.digests.append(blob.digest)
        layout.store.clear_unfinished(grace_s)
    return report


def _forget_untagged(layout: OciLayout, index: Index, before: float) -> None:
    """Take manifests out of the index that no tag points at, such as signatures that were added to."""
    tagged = set(index.tags.values())
    for digest in set(index.manifests) - tagged:
        path = layout.store.path(digest)
        if path.is_file() and path.stat().st_mtime < before:
            index.remove(digest)


def _referenced(layout: OciLayout, index: Index) -> set[str]:
    wanted = set(index.manifests)
    for digest in index.manifests:
        with layout.store.open(digest) as source:
            wanted |= {blob.digest for blob in blobs(read_manifest(source.read(), digest))}
    return wanted
