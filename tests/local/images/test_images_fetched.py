"""A version that leaves its weights in the store, and names them by digest."""

import io
import json
import tarfile

import pytest
from local.images.conftest import commit

from sacristy.errors import BlobDamaged, BlobNotFound, InvalidImage
from sacristy.images.archive import export_archive
from sacristy.images.build import build
from sacristy.images.fetched import fetched_of, with_weights
from sacristy.images.manifest import PART, WEIGHTS, digest_of
from sacristy.images.reading import baseline_of
from sacristy.images.references import version_weights
from sacristy.targets.process import unpacked

NAMES = ["model.safetensors", "vocabulary.json", "golden.json"]


@pytest.fixture
def left(project):
    """The project says that the toy's weights stay in the store."""
    (project / "models" / "toy" / "model.toml").write_text('title = "toy"\nweights = "ceph"\n')
    commit(project)


@pytest.fixture
def thin(left, settings, store, run_of):
    return build(settings, run_of(), store=store)


def names_in(layer):
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        return archive.getnames()


def manifest_of(built, image):
    return built.manifest("toy", image.digest)


def test_it_has_no_layer_of_weights_and_names_them(thin, built, run_of):
    manifest = manifest_of(built, thin)
    assert [layer["annotations"][PART] for layer in manifest["layers"]] == ["runtime", "model", "baseline"]
    fetched = fetched_of(manifest, "toy")
    assert [(file.name, file.digest) for file in fetched.files] == [(f.name, f.digest) for f in run_of().weights[:3]]
    assert fetched.size == sum(file.size for file in run_of().weights[:3])
    assert built.config("toy", thin.digest)["config"]["Labels"][WEIGHTS] == manifest["annotations"][WEIGHTS]


def test_its_record_says_where_they_are_and_the_collector_keeps_them(thin, built, run_of):
    assert baseline_of(built, "toy", thin.digest)["weights_in"] == "ceph"
    assert {digest for _, digest in version_weights(built)} == {file.digest for file in run_of().weights}


def test_it_is_the_same_image_when_built_again(thin, settings, store, run_of):
    assert build(settings, run_of(), store=store).digest == thin.digest


def test_one_that_carries_them_says_nothing_of_it(image, built):
    assert fetched_of(manifest_of(built, image), "toy") is None
    assert "weights_in" not in baseline_of(built, "toy", image.digest)


def test_weights_that_are_not_there_are_told_when_it_is_built(left, settings, store, run_of):
    run = run_of()
    store.delete(run.weights[0].digest)
    with pytest.raises(BlobNotFound):
        build(settings, run, store=store)


def test_an_engine_is_given_them_as_the_layers_that_were_announced(thin, built, store):
    fetched = fetched_of(manifest_of(built, thin), "toy")
    added = with_weights(built, "toy", thin.digest, fetched, store)
    out = io.BytesIO()
    export_archive(built, "toy", thin.digest, "toy:7", out, added=added)
    with tarfile.open(fileobj=io.BytesIO(out.getvalue())) as archive:
        (entry,) = json.load(archive.extractfile("manifest.json"))
        layers = [archive.extractfile(name).read() for name in entry["Layers"]]
        config = json.load(archive.extractfile(entry["Config"]))
    assert [digest_of(layer) for layer in layers] == config["rootfs"]["diff_ids"]
    assert {f"app/weights/{name}" for name in NAMES} <= {name for layer in layers for name in names_in(layer)}
    assert len(config["history"]) == len(layers)


def test_what_the_engine_has_of_them_is_not_read_again(thin, built, store, run_of):
    added = with_weights(built, "toy", thin.digest, fetched_of(manifest_of(built, thin), "toy"), store)
    for file in run_of().weights[:3]:
        store.path(file.digest).unlink()
    held = json.loads(added.config)["rootfs"]["diff_ids"]
    export_archive(built, "toy", thin.digest, "toy:7", io.BytesIO(), held=held, added=added)


def test_a_process_is_given_them_as_files_that_are_verified_each_time(thin, built, settings, store, run_of):
    image = built.image("toy", thin.digest)
    there = settings.model_copy(update={"weights": str(store.folder)})
    weights = unpacked(there, built, image) / "app" / "weights"
    assert sorted(path.name for path in weights.iterdir()) == sorted(NAMES)
    (weights / NAMES[0]).write_bytes(b"x" * (1 << 20))
    unpacked(there, built, image)
    assert digest_of((weights / NAMES[0]).read_bytes()) == run_of().weights[0].digest


def test_damaged_ones_get_into_no_engine(thin, built, store, run_of):
    path = store.path(run_of().weights[0].digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * (1 << 20))
    added = with_weights(built, "toy", thin.digest, fetched_of(manifest_of(built, thin), "toy"), store)
    with pytest.raises(BlobDamaged):
        export_archive(built, "toy", thin.digest, "toy:7", io.BytesIO(), added=added)


@pytest.mark.parametrize("said", ["no json", "{}", '[{"name": "../x", "digest": "sha256:1", "size": 1}]', "[1]"])
def test_a_list_that_is_none_is_refused(said):
    said = {"annotations": {WEIGHTS: said}}
    if said["annotations"][WEIGHTS] == "{}":
        assert fetched_of(said, "toy").files == ()
        return
    with pytest.raises(InvalidImage):
        fetched_of(said, "toy")
