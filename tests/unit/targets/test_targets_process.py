"""The process target: what is left of an instance that the supervisor did not start. No supervisor."""

from types import SimpleNamespace

import pytest

from sacristy.errors import SupervisorFailed
from sacristy.names import Version
from sacristy.settings import Settings
from sacristy.targets import process
from sacristy.targets.naming import belongs
from sacristy.targets.process import ProcessTarget
from sacristy.targets.target import Image

IMAGE = Image("toy", Version(7), 7, "sha256:" + "a" * 64)


def test_of_an_instance_that_could_not_be_started_nothing_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(process, "unpacked", lambda *_: tmp_path)
    monkeypatch.setattr(process, "ensure_environment", lambda *_: tmp_path / "python")
    monkeypatch.setattr(process, "read_model_file", lambda _: SimpleNamespace(serving=SimpleNamespace(timeout_s=1)))
    registry = SimpleNamespace(config=lambda *_: {"config": {"Cmd": ["python"]}})
    target = ProcessTarget(Settings(project=tmp_path, home=tmp_path), registry)
    removed = []

    def add(_):
        raise SupervisorFailed(reason="no answer", log=tmp_path)

    target.supervisor = SimpleNamespace(add=add, remove=removed.append)
    with pytest.raises(SupervisorFailed):
        target.start(IMAGE, "trial")
    assert [belongs(name) for name in removed] == [("toy", "trial")]
