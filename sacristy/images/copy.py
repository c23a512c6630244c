"""Copying an image from one registry to another: only the bytes that the other one does not have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sacristy.images import manifest as documents
from sacristy.images.registry import Registry

Progress = Callable[[str], None]


@dataclass
class CopyReport:
    """What a copy sent, what was there already, and what another repository of the target had."""

    blobs_sent: int = 0
    bytes_sent: int = 0
    blobs_present: int = 0
    blobs_mounted: int = 0


def copy_image(
    source: Registry, target: Registry, repository: str, digest: str, progress: Progress = lambda _: None
) -> CopyReport:
    """Copy blobs, then the manifest; run again after an interruption, it goes on with what is missing.

    No tag is set: that is the caller's last step, and until then nobody sees the image.
    Raises ImageNotFound, BlobNotFound, BlobDamaged or PathNotWritable.
    """
    content = source.read_manifest(repository, digest)
    manifest = documents.read_manifest(content, f"{repository}@{digest}")
    report = CopyReport()
    for blob in documents.blobs(manifest):
        if target.has_blob(repository, blob.digest):
            report.blobs_present += 1
            continue
        origin = blob.annotations.get(documents.BASE)
        if origin and target.mount(repository, blob.digest, origin):
            report.blobs_mounted += 1
            continue
        progress(f"{blob.annotations.get(documents.PART, 'blob')}, {blob.size:,} bytes")
        with source.open_blob(repository, blob.digest) as stream:
            target.put_blob(repository, blob.digest, stream)
        report.blobs_sent += 1
        report.bytes_sent += blob.size
    target.put_manifest(repository, content, manifest.get("mediaType") or documents.MANIFEST)
    return report
