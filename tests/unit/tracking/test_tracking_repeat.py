"""What a training in a work tree of its own is told of the project's settings."""

from pathlib import Path

import pytest

from sacristy.settings import Settings
from sacristy.tracking import reproduce
from sacristy.tracking.runs import record


@pytest.fixture
def repeated(tmp_path, monkeypatch):
    """The environment of a repeat, as the child's Settings read it in the work tree."""
    run = record({"_id": 7, "experiment": {"name": "digits"}, "sacristy": {}})

    def settings(**given):
        ours = Settings(project=tmp_path, **given)
        (tmp_path / "tree").mkdir()
        monkeypatch.chdir(tmp_path / "tree")
        for name, value in reproduce.environment(ours, tmp_path / "tree", run).items():
            monkeypatch.setenv(name, value)
        return Settings()

    return settings


def test_a_repeat_uses_the_same_stores_and_database(repeated, tmp_path):
    address = "mongodb://u:p@127.0.0.1:1/sacristy"
    given = {"weights": "s3://weights", "mongodb_url": address, "environments": Path("envs"), "data": "/data"}
    found = repeated(**given, data_remote="remote", weights_endpoint="https://h:1", user="u")
    assert found.project == tmp_path / "tree"
    assert found.home == tmp_path / ".sacristy"
    assert (found.weights, found.weights_endpoint, found.user) == ("s3://weights", "https://h:1", "u")
    assert found.mongodb_url.get_secret_value() == address
    assert (found.environments, found.data) == (tmp_path / "envs", Path("/data"))
    assert found.data_remote == str(tmp_path / "remote")


def test_what_is_not_set_is_not_passed_on(repeated):
    assert repeated().weights == ""
