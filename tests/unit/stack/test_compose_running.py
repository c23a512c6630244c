"""`up` and `down` of the composed stack: what is asked of whom, and in which order. No engine is there."""

import shutil
from pathlib import Path

import pytest
from filelock import FileLock, Timeout

from sacristy.errors import NotComposed
from sacristy.settings import Settings
from sacristy.stack.composed import commands, running
from sacristy.stack.composed.place import place_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def settings(tmp_path):
    settings = Settings(project=tmp_path)
    place = place_of(settings)
    place.secrets.mkdir(parents=True)
    shutil.copy(ROOT / "compose" / "compose.yaml", place.folder)
    place.env.write_text("COMPOSE_PROJECT_NAME=sacristy\nSACRISTY_NAME=x.test\nSACRISTY_PORT=443\n")
    for secret in running._parsed(place)["secrets"].values():
        (place.folder / secret["file"]).touch()
    return settings


@pytest.fixture
def asked(monkeypatch):
    """Return what was run: of Compose, the verb. Until it is stopped, the operator starts models."""
    done, models = [], ["m1"]

    def run(argv, **_):
        done.append(argv)
        if argv == commands.models(running.home_mark()):
            return "\n".join(models)
        return ""

    def compose(program, place, profiles, *words, within_s):
        done.append(words[0])
        if words[0] == "stop":
            models.append("m2")

    monkeypatch.setattr(running, "run", run)
    monkeypatch.setattr(running, "_compose", compose)
    monkeypatch.setattr(running, "find_program", lambda: commands.PLUGIN)
    return done


def test_models_that_were_started_until_the_operator_stopped_are_removed_too(settings, asked):
    running.down(settings)
    assert asked[-4:] == ["stop", commands.models(running.home_mark()), commands.remove(["m1", "m2"]), "down"]


def test_a_secret_that_is_missing_is_told_before_anything_is_started(settings, asked):
    (place_of(settings).secrets / "mongodb-gateway").unlink()
    (place_of(settings).secrets / "jenkins-token").unlink()  # of another profile
    with pytest.raises(NotComposed, match="mongodb-gateway"):
        running.up(settings, running.How())
    assert asked == []


def test_one_starts_it_at_a_time(settings, asked, monkeypatch):
    def built(place, profiles):
        with pytest.raises(Timeout):
            FileLock(place.contexts / "up.lock").acquire(timeout=0)
        return []

    monkeypatch.setattr(running, "wait_healthy", lambda place: {})
    monkeypatch.setattr(running, "_not_built", built)
    running.up(settings, running.How())
    assert asked == ["up"]
