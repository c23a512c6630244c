"""The layout against the words of OCI image-spec 1.1."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime

import pytest

DESCRIPTOR = {"mediaType", "digest", "size", "annotations"}
CONFIG_KEYS = {"created", "author", "architecture", "os", "config", "rootfs", "history"}
RUNTIME_KEYS = {"User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal"}


@pytest.fixture
def layout(image, settings):
    return settings.images_folder / "toy"


def read(layout, digest):
    content = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest.removeprefix("sha256:")
    return json.loads(content)


def check_descriptor(layout, found, media_type):
    assert found.keys() <= DESCRIPTOR
    assert found["mediaType"] == media_type
    assert re.fullmatch("sha256:[0-9a-f]{64}", found["digest"])
    assert (layout / "blobs" / "sha256" / found["digest"][7:]).stat().st_size == found["size"]
    assert all(isinstance(value, str) for value in found.get("annotations", {}).values())


def test_the_layout_has_its_three_parts(layout):
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    assert (layout / "index.json").is_file()
    assert (layout / "blobs" / "sha256").is_dir()


def test_the_index_lists_the_manifest_under_its_tag(layout, image):
    index = json.loads((layout / "index.json").read_text())
    assert index["schemaVersion"] == 2
    assert index["mediaType"] == "application/vnd.oci.image.index.v1+json"
    (entry,) = index["manifests"]
    check_descriptor(layout, entry, "application/vnd.oci.image.manifest.v1+json")
    assert entry["digest"] == image.digest
    assert entry["annotations"] == {"org.opencontainers.image.ref.name": "7"}


def test_the_manifest_names_configuration_and_layers(layout, image):
    manifest = read(layout, image.digest)
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.oci.image.manifest.v1+json"
    check_descriptor(layout, manifest["config"], "application/vnd.oci.image.config.v1+json")
    for layer in manifest["layers"]:
        check_descriptor(layout, layer, "application/vnd.oci.image.layer.v1.tar")
    parts = [layer["annotations"]["dev.sacristy.part"] for layer in manifest["layers"]]
    assert parts == ["runtime", "model", "weights", "weights", "baseline"]


def test_the_configuration_fits_the_layers(layout, image):
    manifest = read(layout, image.digest)
    config = read(layout, manifest["config"]["digest"])
    assert config.keys() <= CONFIG_KEYS
    assert config["config"].keys() <= RUNTIME_KEYS
    assert config["rootfs"]["type"] == "layers"
    assert config["rootfs"]["diff_ids"] == [layer["digest"] for layer in manifest["layers"]]
    assert len(config["history"]) == len(manifest["layers"])
    datetime.fromisoformat(config["created"])


def test_the_configuration_says_how_to_serve(layout, image):
    config = read(layout, read(layout, image.digest)["config"]["digest"])["config"]
    assert config["WorkingDir"] == "/app"
    assert config["Env"] == ["PYTHONPATH=/app", "PYTHONUNBUFFERED=1"]
    assert config["User"] == "65532:65532"
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert config["Cmd"][:3] == ["python", "-m", "gunicorn"]
    assert config["Cmd"][-1] == "sacristy.serving.app:create_app()"
