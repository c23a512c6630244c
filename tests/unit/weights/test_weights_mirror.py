"""Blobs from store to store."""

from __future__ import annotations

import pytest

from sacristy.weights.folder import FolderStore
from sacristy.weights.mirror import mirror


@pytest.mark.parametrize("truncated_to", [b"", b"we"])
def test_a_blob_cut_short_to_another_ones_content_takes_that_from_nobody(store, write, tmp_path, truncated_to):
    target = FolderStore(tmp_path / "target")
    other, _ = target.put(write("b.txt", truncated_to))
    damaged, _ = store.put(write("a.txt", b"weights"))
    store.path(damaged).chmod(0o644)
    store.path(damaged).write_bytes(truncated_to)
    assert mirror(store, target).lost == [damaged]
    assert [blob.digest for blob in target.list()] == [other]
