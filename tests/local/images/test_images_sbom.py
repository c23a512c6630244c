"""What is in an image, as CycloneDX, checked against the schema of that format."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from sacristy.images import sbom
from sacristy.images.build import build
from sacristy.images.reading import baseline_of, lock_of

MODELS = Path(__file__).parents[3] / "models"
DIGEST = "sha256:" + "3" * 64
LOCK = {
    "_meta": {},
    "default": {
        "Zope.Interface": {"version": "==6.0", "hashes": ["sha256:" + "b" * 64, "sha256:" + "a" * 64]},
        "attrs": {"version": "==25.1.0"},
    },
    "cuda": {"attrs": {"version": "==1"}, "nvidia-x": {"version": "==12"}},
    "develop": {"pytest": {"version": "==9"}},
}


@pytest.mark.parametrize("model", ["digits", "news"])
def test_the_document_of_a_real_lock_is_cyclonedx(model):
    lock = json.loads((MODELS / model / "Pipfile.lock").read_text())
    content = json.dumps(sbom.document(lock, model, "7", DIGEST))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content) is None
    assert len(json.loads(content)["components"]) >= len(lock["default"]) > 5


def test_the_validator_would_tell():
    broken = sbom.document(LOCK, "toy", "7", DIGEST) | {"components": [{"type": "gadget"}]}
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(broken)) is not None


def test_a_package_has_name_version_purl_and_hashes():
    first, second, third = sbom.document(LOCK, "toy", "7", DIGEST)["components"]
    assert (first["purl"], first["version"]) == ("pkg:pypi/zope-interface@6.0", "6.0")
    assert [found["content"] for found in first["hashes"]] == ["a" * 64, "b" * 64]
    assert (second["purl"], second["scope"]) == ("pkg:pypi/attrs@25.1.0", "required")
    assert (third["name"], third["scope"]) == ("nvidia-x", "optional")


def test_the_document_is_the_same_however_the_lock_is_ordered():
    other = {name: LOCK[name] for name in reversed(LOCK)}
    assert sbom.document(LOCK, "toy", "7", DIGEST) == sbom.document(other, "toy", "7", DIGEST)


@pytest.fixture
def locked(settings, store, run_of):
    """The image of a run with a lock that names packages."""
    (settings.project / "models" / "toy" / "Pipfile.lock").write_text(json.dumps(LOCK))
    return build(settings, run_of(dirty=True), store=store, allow_dirty=True)


def test_it_lies_beside_the_image_whose_digest_stays(built, locked):
    made = sbom.attach(built, "toy", locked.digest)
    manifest = built.manifest("toy", made)
    assert manifest["subject"]["digest"] == locked.digest
    assert manifest["artifactType"] == "application/vnd.cyclonedx+json"
    assert built.tags("toy")[f"sha256-{locked.digest[7:]}.sbom"] == made
    assert list(built.versions("toy").values()) == [locked.digest]


def test_it_is_made_from_the_lock_in_the_image_and_read_back(built, locked):
    assert sbom.read(built, "toy", locked.digest) is None
    first = sbom.attach(built, "toy", locked.digest)
    assert sbom.attach(built, "toy", locked.digest) == first
    assert sbom.read(built, "toy", locked.digest) == sbom.document(LOCK, "toy", "7", locked.digest)


def test_baseline_and_lock_are_read_out_of_an_image(built, locked):
    assert baseline_of(built, "toy", locked.digest)["run"] == 7
    assert lock_of(built, "toy", locked.digest) == LOCK
