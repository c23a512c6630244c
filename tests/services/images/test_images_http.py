from __future__ import annotations

import os
import threading

import pytest
from local.images.registry_promises import *  # noqa: F403
from local.images.registry_promises import put_image

from sacristy.errors import InvalidLocation, RegistryAway, RegistryRefused
from sacristy.images import session, upload
from sacristy.images.copy import copy_image
from sacristy.images.http import HttpRegistry
from sacristy.images.layout import FolderRegistry
from sacristy.images.manifest import digest_of
from sacristy.images.registry import Access, open_registry
from sacristy.images.unpack import unpack

pytestmark = pytest.mark.registry


def test_a_location_opens_it(server):
    registry = open_registry(server.url, Access("ci", server.password, server.ca))
    assert registry.repositories() == []
    registry.close()


def test_an_image_goes_up_and_comes_down_unchanged(registry, built, image, tmp_path):
    copy_image(built, registry, "toy", image.digest)
    registry.tag("toy", "7", image.digest, expected=None)
    local = FolderRegistry(tmp_path / "local")
    copy_image(registry, local, "toy", image.digest)
    assert local.read_manifest("toy", image.digest) == built.read_manifest("toy", image.digest)
    assert str(registry.image("toy", "7")) == "toy:7"
    unpack(registry, "toy", image.digest, tmp_path / "out")
    assert (tmp_path / "out" / "app" / "weights" / "model.safetensors").read_bytes() == b"w" * (1 << 20)


def test_a_large_blob_goes_in_parts(registry, monkeypatch):
    monkeypatch.setattr(upload, "PART_SIZE", 1 << 20)
    content = os.urandom((5 << 20) + 17)
    registry.put_blob("toy", digest_of(content), content)
    with registry.open_blob("toy", digest_of(content)) as source:
        assert b"".join(iter(lambda: source.read(1 << 20), b"")) == content


def test_a_stored_image_goes_in_parts_smaller_than_a_layer(registry, built, image, monkeypatch):
    monkeypatch.setattr(upload, "PART_SIZE", 100_000)
    copy_image(built, registry, "toy", image.digest)
    assert copy_image(built, registry, "toy", image.digest).blobs_sent == 0


@pytest.mark.parametrize("changes", [{"password": "wrong"}, {"user": ""}])
def test_a_wrong_password_is_one_error(server, changes):
    registry = server.registry(**changes)
    with pytest.raises(RegistryRefused, match="401"):
        registry.tags("toy")
    registry.close()


def test_a_certificate_of_a_stranger_is_not_trusted(server, monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.001)
    registry = server.registry(ca=None)
    with pytest.raises(RegistryAway, match=r"(?i)certificate"):
        registry.tags("toy")
    registry.close()


def test_a_registry_that_is_down_is_one_error_without_the_password(server, monkeypatch):
    monkeypatch.setattr(session, "FIRST_WAIT_S", 0.001)
    registry = HttpRegistry("http://127.0.0.1:9", Access("ci", "geheim"))
    with pytest.raises(RegistryAway) as caught:
        registry.repositories()
    assert "geheim" not in str(caught.value) + repr(Access("ci", "geheim"))
    registry.close()


@pytest.mark.parametrize("url", ["http://registry:5000", "https://u:p@registry", "https://registry/?x=1", "https://"])
def test_addresses_that_would_leak_or_mean_nothing_are_refused(url):
    with pytest.raises(InvalidLocation):
        HttpRegistry(url, Access("ci", "geheim"))


def test_an_upload_goes_on_after_the_registry_was_killed(server, registry, monkeypatch):
    monkeypatch.setattr(upload, "PART_SIZE", 1 << 20)
    content = os.urandom(8 << 20)
    sent = []
    once = registry._session.once

    def counted(method, path, **words):
        if method == "PATCH":
            sent.append(len(words["content"]))
            if len(sent) == 4:
                server.kill()
                threading.Timer(0.5, server.start).start()
        return once(method, path, **words)

    monkeypatch.setattr(registry._session, "once", counted)
    registry.put_blob("toy", digest_of(content), content)
    with registry.open_blob("toy", digest_of(content)) as source:
        assert digest_of(b"".join(iter(lambda: source.read(1 << 20), b""))) == digest_of(content)
    assert sum(sent) <= len(content) + (3 << 20)  # at most a few parts were sent twice


def test_a_download_goes_on_after_the_registry_was_killed(server, registry):
    content = os.urandom(32 << 20)
    registry.put_blob("toy", digest_of(content), content)
    with registry.open_blob("toy", digest_of(content)) as source:
        found = [source.read(1 << 16)]
        server.kill()
        threading.Timer(0.5, server.start).start()
        found += iter(lambda: source.read(1 << 20), b"")
    assert b"".join(found) == content


def test_a_tag_is_never_seen_before_its_blobs(server, registry, built, image, monkeypatch):
    put = HttpRegistry.put_blob

    def killed(self, *arguments):
        if arguments[1] == built.manifest("toy", image.digest)["layers"][2]["digest"]:
            raise KeyboardInterrupt
        return put(self, *arguments)

    monkeypatch.setattr(HttpRegistry, "put_blob", killed)
    with pytest.raises(KeyboardInterrupt):
        copy_image(built, registry, "toy", image.digest)
    assert registry.tags("toy") == {}


def test_many_tags_are_all_listed(registry, monkeypatch):
    monkeypatch.setattr("sacristy.images.http.PAGE", 3)
    digest = put_image(registry)
    for number in range(1, 9):
        registry.tag("toy", str(number), digest)
    assert len(registry.versions("toy")) == 8
