"""`sacristy images gc` and `prune` as people use them: what they report, what they ask, and what they never touch."""

from __future__ import annotations

import io
import json
import os
import time

import pytest
from typer.testing import CliRunner

from sacristy import settings as settings_module
from sacristy.cli.main import app
from sacristy.images.base import repository_of
from sacristy.images.build import build
from sacristy.images.copy import copy_image
from sacristy.images.layout import FolderRegistry

OLD = time.time() - 48 * 3600
ENVIRONMENT = repository_of("1" * 64)


@pytest.fixture
def images(settings, monkeypatch):
    """Run `sacristy images ...` in the project, and return what it printed."""
    monkeypatch.setenv("SACRISTY_PROJECT", str(settings.project))
    monkeypatch.setenv("SACRISTY_PROMOTION__KEEP", "1")
    settings_module.load.cache_clear()

    def run(*words, answer=None, code=0):
        done = CliRunner().invoke(app, ["images", *words], input=answer)
        assert done.exit_code == code, (done.output, done.exception)
        return done.stdout

    yield run
    settings_module.load.cache_clear()


@pytest.fixture
def kept(settings, store, run_of):
    """Two versions built here, one of them pushed, and an image that was unpacked long ago."""
    made = [build(settings, run_of(number, content=bytes([number]) * (1 << 16)), store=store) for number in (7, 8)]
    folder = settings.home / "instances" / f"toy-{'1' * 16}"
    folder.mkdir(parents=True)
    (folder / "serve.py").write_text("pass")
    for path in (*settings.images_folder.glob("*/blobs/sha256/*"), folder):
        os.utime(path, (OLD, OLD))
    return made


def environment_in(registry):
    """Put something into a registry as an environment's image."""
    registry.layout(ENVIRONMENT).store.put_stream(io.BytesIO(b"layer"))
    with registry.layout(ENVIRONMENT).changed_index():
        pass
    assert ENVIRONMENT in registry.repositories()


def test_gc_reports_what_may_go_and_asks(images, kept, settings):
    built = FolderRegistry(settings.images_folder)
    printed = images("gc", answer="n\n", code=1)
    assert "toy:7" in printed
    assert "built, never pushed" in printed
    assert f"toy-{'1' * 16}" in printed
    assert "toy:8" not in printed
    assert {str(version) for version in built.versions("toy")} == {"7", "8"}
    assert (settings.home / "instances" / f"toy-{'1' * 16}").is_dir()


def test_gc_removes_what_it_reported_and_says_how_much_that_was(images, kept, settings):
    report = json.loads(images("gc", "--yes", "--json"))
    assert [(each["model"], each["version"]) for each in report["built"]] == [("toy", "7")]
    assert [each["size"] for each in report["unpacked"]] == [4]
    assert report["freed"] > 1 << 16
    built = FolderRegistry(settings.images_folder)
    assert [str(version) for version in built.versions("toy")] == ["8"]
    assert list((settings.home / "instances").iterdir()) == []
    again = json.loads(images("gc", "--yes", "--json"))
    assert (again["built"], again["unpacked"], again["freed"]) == ([], [], 0)


def test_gc_says_which_versions_the_registry_has_too(images, kept, settings, built):
    registry = FolderRegistry(settings.home / "registry")
    copy_image(built, registry, "toy", kept[0].digest)
    registry.tag("toy", "7", kept[0].digest)
    assert "built, and pushed" in images("gc", answer="n\n", code=1)


def test_gc_leaves_environments_alone(images, kept, settings):
    built = FolderRegistry(settings.images_folder)
    environment_in(built)
    report = json.loads(images("gc", "--yes", "--json", "--grace-hours", "0"))
    assert ENVIRONMENT not in {each["model"] for each in report["built"]}
    assert len(list(built.layout(ENVIRONMENT).store.list())) == 1


@pytest.mark.parametrize("words", [(), (ENVIRONMENT,)])
def test_prune_leaves_environments_alone_and_need_not_ask_the_database_for_them(images, settings, words):
    registry = FolderRegistry(settings.home / "registry")
    environment_in(registry)
    assert json.loads(images("prune", "--yes", "--json", "--grace-hours", "0", *words)) == []
    assert len(list(registry.layout(ENVIRONMENT).store.list())) == 1
