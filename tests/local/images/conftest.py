from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from types import SimpleNamespace

import git
import pytest

from sacristy.images.archive import import_archive
from sacristy.images.base import open_base, repository_of
from sacristy.images.build import build
from sacristy.images.layout import FolderRegistry
from sacristy.images.manifest import digest_of
from sacristy.settings import Settings
from sacristy.sources import describe, image_paths
from sacristy.tracking.runs import RunRecord, WeightsFile
from sacristy.weights.folder import FolderStore

WHO = git.Actor("A", "a@example.org")
FILES = {
    "Pipfile": "",
    "sacristy/__init__.py": "",
    "sacristy/names.py": "NAME = 1\n",
    "sacristy/errors.py": "",
    "sacristy/s3.py": "",
    "sacristy/serving/__init__.py": "",
    "sacristy/serving/app.py": "def create_app(): ...\n",
    "sacristy/images/build.py": "not in an image\n",
    "models/toy/model.toml": "title = 'toy'\n",
    "models/toy/Pipfile.lock": "{}",
    "models/toy/serve.py": "import json\n",
    "models/toy/tests/test_toy.py": "def test(): ...\n",
    "models/other/serve.py": "not in an image\n",
}


FACTS = {
    "config": {"lr": 0.1, "worst": float("nan")},
    "result": {"accuracy": 0.9},
    "lock": "1" * 64,
    "data": {"name": "toys", "digest": "sha256:" + "2" * 64, "rows": 10},
    "document": {"sacristy": {"journal": {"points": 3, "arrived": 2}}},
}


def commit(folder: Path, time: str = "1767323045 +0000") -> str:
    with git.Repo(folder) as repository:
        repository.git.add("-A")
        made = repository.index.commit("work", author=WHO, committer=WHO, author_date=time, commit_date=time)
        return made.hexsha


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small git repository with one model, `toy`."""
    folder = tmp_path / "project"
    for name, content in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / ".gitignore").write_text(".sacristy/\n")
    git.Repo.init(folder).close()
    commit(folder)
    return folder


@pytest.fixture
def settings(project: Path) -> Settings:
    return Settings(project=project)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "weights")


@pytest.fixture
def run_of(settings, store, tmp_path):
    """Return a function that gives a completed run of the work tree as it is now, with its weights stored."""

    def run_of(number=7, content=b"w" * (1 << 20), **changes):
        sources = describe(settings.project, image_paths("toy"))
        contents = {
            "model.safetensors": ("weights", content),
            "vocabulary.json": ("weights", b"[]"),
            "golden.json": ("golden", json.dumps([{"instance": 1, "prediction": 2}]).encode()),
            "heldout.jsonl": ("heldout", b'{"instance": 1, "target": 2}\n'),
        }
        files = []
        for name, (role, held) in contents.items():
            path = tmp_path / name
            path.write_bytes(held)
            files.append(WeightsFile(name, *store.put(path), role))
        code = {"commit": sources.commit, "dirty": sources.dirty, "sources": sources.fingerprint}
        facts = {"id": number, "model": "toy", "status": "COMPLETED", "complete": True, "weights": tuple(files)}
        times = dict.fromkeys(("started", "stopped", "heartbeat"))
        return RunRecord(**(FACTS | times | facts | code | changes))

    return run_of


@pytest.fixture
def built(settings) -> FolderRegistry:
    """The registry of images built here."""
    return FolderRegistry(settings.images_folder)


@pytest.fixture
def image(settings, store, run_of):
    """A built image of run 7."""
    return build(settings, run_of(), store=store)


def engine_archive(path: Path, layers: list[bytes], **config: object) -> Path:
    """Write an archive as `docker image save` does."""
    facts = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Env": ["PATH=/opt/env/bin:/bin", "PYTHONPATH=/elsewhere"], "Healthcheck": {"Test": ["CMD", "ask"]}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        "history": [{"created_by": "a base"} for _ in layers],
    } | config
    names = [f"{number}/layer.tar" for number in range(len(layers))]
    members = dict(zip(names, layers, strict=True)) | {"config.json": json.dumps(facts).encode()}
    members["manifest.json"] = json.dumps([{"Config": "config.json", "RepoTags": None, "Layers": names}]).encode()
    with tarfile.open(path, "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def base(built, tmp_path):
    """An environment image of the run's lock, among the images built here."""
    archive = engine_archive(tmp_path / "base.tar", [b"b" * 5000, b"c" * 700_000])
    repository = repository_of(FACTS["lock"])
    built.tag(repository, "cpu", import_archive(archive, built, repository))
    return open_base(built, repository, "cpu")


@pytest.fixture
def based(settings, store, run_of, base):
    """The image of run 7 on that base."""
    return SimpleNamespace(base=base, image=build(settings, run_of(), store=store, base=base))
