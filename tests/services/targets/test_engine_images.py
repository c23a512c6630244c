"""A real engine whose images of models became too many."""

import io
import tarfile

import pytest

from sacristy.targets.engine_images import clear_images

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
MODEL = "sacristy/models/spare"


def name(version):
    return f"{MODEL}:{version}-{version:012x}"


@pytest.fixture
def loaded(engine, monkeypatch, tmp_path):
    """Six versions of a model, the highest loaded first; a container has 6, and 5 is a service's too."""
    for key, value in engine.environment.items():
        monkeypatch.setenv(key, value)
    for version in range(6, 0, -1):
        with tarfile.open(tmp_path / "image.tar", "w") as archive:
            held = tarfile.TarInfo("version")
            held.size = 1
            archive.addfile(held, io.BytesIO(str(version).encode()))
        engine.docker("import", tmp_path / "image.tar", name(version))
        if version == 5:
            engine.docker("tag", name(5), "service:1")
    engine.docker("create", "--name", "holder", name(6), "/version")
    yield engine
    engine.docker("rm", "holder", check=False)
    engine.docker("image", "rm", "service:1", *map(name, range(1, 7)), check=False)


def test_what_was_loaded_last_stays_and_what_is_in_use(loaded):
    clear_images(2)
    left = loaded.docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}").split()
    assert {each for each in left if each.startswith(MODEL)} == {name(1), name(2), name(6)}
    assert "service:1" in left
