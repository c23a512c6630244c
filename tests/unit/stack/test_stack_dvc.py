"""Data through DVC, which is not run here."""

from __future__ import annotations

import pytest

from sacristy.errors import StoreAway
from sacristy.settings import Settings
from sacristy.stack import dvc

POINTER = "outs:\n- md5: e5ebd4c02cefbe7955977c67ada242b7\n  size: 8\n  hash: md5\n  path: dataset/rows.csv\n"


@pytest.fixture
def data(tmp_path):
    """Where the data of a model lies, which somebody has changed since."""
    folder = tmp_path / "models" / "toy"
    (folder / "dataset").mkdir(parents=True)
    (folder / "model.toml").write_text('title = "toy"\n[gates]\nmetric = "accuracy"\nminimum = 0.5\n')
    (folder / "data.dvc").write_text(POINTER)
    (folder / "dataset" / "rows.csv").write_bytes(b"changed")
    return folder / "dataset" / "rows.csv"


def test_a_pull_that_fails_leaves_what_was_there(data, tmp_path, monkeypatch):
    def away(*_):
        raise StoreAway(location="s3://data", reason="away")

    monkeypatch.setattr(dvc, "_dvc", away)
    with pytest.raises(StoreAway):
        dvc.pull(Settings(project=tmp_path, home=tmp_path / "home"), "toy")
    assert data.read_bytes() == b"changed"


def test_a_pull_replaces_what_was_changed(data, tmp_path, monkeypatch):
    monkeypatch.setattr(dvc, "_dvc", lambda *_: data.write_bytes(b"a,b\n1,2\n"))
    assert dvc.pull(Settings(project=tmp_path, home=tmp_path / "home"), "toy") == data
    assert [path.name for path in data.parent.iterdir()] == ["rows.csv"]
