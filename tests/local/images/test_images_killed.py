"""What a killed process leaves: ended by os._exit after each number of writes, without any clean-up."""

from __future__ import annotations

import multiprocessing
import os

import pytest

from sacristy.errors import ImageNotFound
from sacristy.images import manifest as documents
from sacristy.images.build import build
from sacristy.images.copy import copy_image
from sacristy.images.layout import FolderRegistry
from sacristy.weights.atomic import Part

KILLED = 9


def killed_after(writes, work):
    """Run `work` in a process that dies instead of its next publishing of a file, and return its exit code."""

    def child():
        publish, left = Part.publish, [writes]

        def dying(self, target, mode=0o644):
            if not left[0]:
                os._exit(KILLED)
            left[0] -= 1
            publish(self, target, mode)

        Part.publish = dying
        work()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    return process.exitcode


def assert_whole(registry):
    """Every tag points at a manifest whose blobs are all there and right."""
    for digest in registry.tags("toy").values():
        for blob in documents.blobs(registry.manifest("toy", digest)):
            with registry.open_blob("toy", blob.digest) as source:
                assert len(source.read()) == blob.size


def test_a_build_killed_at_any_step_leaves_no_half_image(settings, store, run_of, built):
    run = run_of()
    codes = []
    while not codes or codes[-1] == KILLED:
        codes.append(killed_after(len(codes), lambda: build(settings, run, store=store)))
        assert_whole(built)
    assert codes[-1] == 0
    assert len(codes) > 7  # layers, baseline, configuration, manifest, index
    assert build(settings, run, store=store).new is False


@pytest.mark.parametrize("writes", range(9))
def test_a_copy_killed_at_any_step_goes_on(built, image, tmp_path, writes):
    target = FolderRegistry(tmp_path / "registry")
    code = killed_after(writes, lambda: copy_image(built, target, "toy", image.digest))
    assert target.tags("toy") == {}
    if code == KILLED:
        with pytest.raises(ImageNotFound):
            target.resolve("toy", image.digest)
    report = copy_image(built, target, "toy", image.digest)
    assert report.blobs_present == min(writes, 6)
    target.tag("toy", "7", image.digest, expected=None)
    assert_whole(target)
