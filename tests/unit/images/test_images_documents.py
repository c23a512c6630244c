"""Documents out of a stream that gives few bytes at a time, as a connection does: whole and verified. No registry."""

import io
from types import SimpleNamespace

import pytest

from sacristy.errors import BlobDamaged, InvalidImage
from sacristy.images import manifest
from sacristy.images.manifest import canonical, described, digest_of
from sacristy.images.registry import Registry
from sacristy.weights.verified import VerifiedReader

CONTENT = canonical({"config": {"Labels": {"weights": "w" * 3000}}})


class Trickle(io.BytesIO):
    """Gives at most a thousand bytes at once."""

    def readinto(self, buffer):
        return super().readinto(memoryview(buffer)[:1000])


def config_of(sent):
    """Return the configuration that a registry gives which has another one under its name, if that is not CONTENT."""
    found = described(CONTENT, manifest.CONFIG)
    registry = SimpleNamespace(
        manifest=lambda *_: {"config": found.as_json()},
        open_blob=lambda *_: VerifiedReader(Trickle(sent), found.digest, found.size, "there"),
    )
    return Registry.config(registry, "toy", digest_of(b"manifest"))


def test_a_configuration_is_read_to_its_end():
    assert canonical(config_of(CONTENT)) == CONTENT


def test_one_that_is_damaged_is_refused():
    with pytest.raises(BlobDamaged):
        config_of(CONTENT[:-1] + b" ")


def test_one_that_is_too_large_is_refused_and_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(manifest, "MAX_DOCUMENT", 2000)
    with pytest.raises(InvalidImage, match="2001 bytes"):
        config_of(CONTENT)
