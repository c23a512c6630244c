"""A model whose weights its image does not carry is judged as any other, as a process and as a container. Told last."""

import pytest

from sacristy.images.layout import FolderRegistry
from sacristy.images.manifest import PART

TOML = "models/digits/model.toml"


def judged(clone):
    """Train and build digits with its weights left in the store; return the version, its digest and the verdict."""
    text = (clone.folder / TOML).read_text()
    clone.commit(TOML, f'weights = "ceph"\n{text}')
    try:
        clone.run("up")
        clone.run("train", "digits")
        built = clone.json("build", "digits")
        return built, clone.json("test", f"digits:{built['version']}")
    finally:
        clone.commit(TOML, text)


def parts(clone, digest):
    layers = FolderRegistry(clone.home / "images").manifest("digits", digest)["layers"]
    return {layer.get("annotations", {}).get(PART) for layer in layers}


def test_as_a_process_it_is_given_its_files(clone):
    built, verdict = judged(clone)
    assert verdict["passed"] is True
    assert "weights" not in parts(clone, built["digest"])


@pytest.mark.docker
@pytest.mark.timeout(900)  # its environment image is built first
def test_as_a_container_they_are_layers_of_the_engine(contained):
    built, verdict = judged(contained.clone)
    assert verdict["passed"] is True
    assert "weights" not in parts(contained.clone, built["digest"])
    tag = f"sacristy/models/digits:{built['version']}-{built['digest'][7:19]}"
    said = contained.engine.docker(
        "run", "--rm", "--network", "none", tag, "python", "-c", "import os; print(os.listdir('/app/weights'))"
    )
    assert "model.safetensors" in said
