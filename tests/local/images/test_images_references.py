"""A version says itself which weights it was made from, so that they outlive their run."""

from sacristy.images.references import version_weights
from sacristy.weights.references import by_digest


def test_a_version_refers_to_its_runs_weights(built, image, run_of):
    expected = {file.digest for file in run_of().weights if file.role == "weights"}
    found = by_digest(version_weights(built))
    assert expected <= found.keys()
    assert set(map(tuple, found.values())) == {("toy:7",)}


def test_an_empty_registry_refers_to_nothing(built):
    assert list(version_weights(built)) == []
