"""What lies beside an image (signature, list of packages) in a real registry, and what its garbage is."""

import pytest
from local.images.test_images_signature import make_keys

from sacristy.images import garbage, sbom, signature
from sacristy.images.copy import copy_image

pytestmark = pytest.mark.registry


@pytest.fixture
def pushed(registry, built, image):
    """The image, pushed under its version and staged."""
    copy_image(built, registry, "toy", image.digest)
    for tag in ("7", "staging"):
        registry.tag("toy", tag, image.digest)
    return image


def test_a_signature_is_kept_and_checked(registry, pushed, tmp_path):
    keys = make_keys(tmp_path / "home")
    signature.attach(registry, "toy", pushed.digest, keys)
    signature.verify(registry, "toy", pushed.digest, keys)
    assert (
        signature.attach(registry, "toy", pushed.digest, keys)
        == registry.tags("toy")[f"sha256-{pushed.digest[7:]}.sig"]
    )


def test_the_packages_are_kept_as_an_artifact_of_the_image(registry, pushed):
    sbom.attach(registry, "toy", pushed.digest)
    assert sbom.read(registry, "toy", pushed.digest)["bomFormat"] == "CycloneDX"


def test_neither_is_a_version_or_a_stage(registry, pushed, tmp_path):
    signature.attach(registry, "toy", pushed.digest, make_keys(tmp_path / "home"))
    sbom.attach(registry, "toy", pushed.digest)
    assert [str(version) for version in registry.versions("toy")] == ["7"]
    assert list(registry.stages("toy").values()) == [pushed.digest]


def test_the_registry_is_told_what_it_can_collect(registry, pushed, tmp_path):
    gone = garbage.sizes(registry, "toy", {pushed.digest})
    registry.delete_manifest("toy", pushed.digest)
    report = garbage.collect(registry, "toy", gone)
    assert (report.removed, report.bytes) == (False, sum(gone.values()))
    assert registry.versions("toy") == {}
