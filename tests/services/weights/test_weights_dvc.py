"""Data through the real DVC: to a folder and to Ceph, and back; what was damaged on the way is refused (T13)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sacristy.datasets import require
from sacristy.errors import CommandFailed, DataFileMissing
from sacristy.settings import Settings
from sacristy.stack import dvc

PROJECT = Path(__file__).parents[3]
CONTENT = b"a,b\n1,2\n"
POINTER = "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b7\n  size: 8\n  hash: md5\n  path: dataset/rows.csv\n"


@pytest.fixture(scope="session")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where DVC's environment is made; a minute, unless SACRISTY_ENVIRONMENTS names a folder that has it."""
    given = os.environ.get("SACRISTY_ENVIRONMENTS")
    return Path(given) if given else tmp_path_factory.mktemp("environments")


@pytest.fixture
def toy(project: Path, tmp_path: Path, environments: Path) -> Settings:
    """A project with one model, whose data lies at its place."""
    shutil.copytree(PROJECT / "compose" / "dvc", project / "compose" / "dvc")
    shutil.copytree(PROJECT / ".dvc", project / ".dvc", ignore=lambda *_: {"tmp", "cache", "config.local"})
    (project / ".dvc" / "config").write_text("[core]\n    no_scm = true\n")
    folder = project / "models" / "toy"
    (folder / "dataset").mkdir(parents=True)
    (folder / "model.toml").write_text('title = "toy"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n')
    (folder / "data.dvc").write_text(POINTER)
    (folder / "dataset" / "rows.csv").write_bytes(CONTENT)
    return Settings(project=project, home=tmp_path / "home", environments=environments)


def lose(settings: Settings) -> Path:
    """Remove the data from this machine, DVC's cache too, and return where it was."""
    path = settings.project / "models" / "toy" / "dataset" / "rows.csv"
    path.unlink()
    shutil.rmtree(settings.home / "dvc")
    with pytest.raises(DataFileMissing):
        require(settings, "toy")
    return path


def say_where(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands of this test use these settings."""
    for name in ("project", "home", "environments", "weights_endpoint", "weights_ca", "data_remote"):
        monkeypatch.setenv(f"SACRISTY_{name.upper()}", str(getattr(settings, name) or ""))


def there_and_back(settings: Settings, command: Callable[..., str]) -> None:
    """Push, lose and pull the data as a scientist does, asking in between how it is."""
    command("data", "push", "toy")
    path = lose(settings)
    assert json.loads(command("data", "status", "--json", code=1).partition("]")[0] + "]")[0]["state"] == "missing"
    command("data", "pull")
    assert path.read_bytes() == CONTENT
    assert json.loads(command("data", "status", "--json"))[0]["state"] == "pulled"


@pytest.mark.slow
def test_data_goes_to_a_folder_and_comes_back(toy, command, monkeypatch):
    say_where(toy, monkeypatch)
    there_and_back(toy, command)
    require(toy, "toy")
    assert (toy.project / "models" / "toy" / "data.dvc").read_text() == POINTER


@pytest.mark.slow
def test_what_is_damaged_or_missing_in_the_remote_is_refused(toy):
    dvc.push(toy, "toy")
    path = lose(toy)
    (kept,) = [file for file in (toy.home / "data").rglob("*") if file.is_file()]
    kept.chmod(0o644)
    kept.write_bytes(b"a,b\n1,3\n")
    with pytest.raises(CommandFailed):
        dvc.pull(toy, "toy")
    shutil.rmtree(toy.home / "data")
    with pytest.raises(CommandFailed):
        dvc.pull(toy, "toy")
    assert not path.exists()


@pytest.mark.ceph
def test_data_goes_to_ceph_and_comes_back(toy, ceph, command, monkeypatch):
    shutil.copytree(ceph.home / "secrets", toy.home / "secrets")
    there = {"weights_endpoint": ceph.s3_endpoint, "weights_ca": ceph.s3_ca, "data_remote": "s3://data"}
    settings = toy.model_copy(update=there)
    say_where(settings, monkeypatch)
    there_and_back(settings, command)
