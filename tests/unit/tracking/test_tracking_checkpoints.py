"""From which checkpoint a run is gone on with."""

from types import SimpleNamespace

import pytest

from sacristy.errors import NoCheckpoint
from sacristy.tracking.checkpoints import checkpoint, resume_environment


@pytest.fixture
def kept(tmp_path):
    """Return what a run noted of three checkpoints, of which the last two are there."""
    notes = []
    observer = SimpleNamespace(checkpoints=tmp_path / "digits-1", note=lambda _, value: notes.append(value))
    (tmp_path / "state").touch()
    for _ in range(3):
        checkpoint(SimpleNamespace(observer=observer), tmp_path / "state")
    return notes


@pytest.mark.parametrize("arrived", [0, 1, 2])
def test_a_run_goes_on_from_its_last_checkpoint_though_the_database_knows_an_earlier_one(kept, arrived):
    given = resume_environment(7, {"sacristy": {"checkpoint": kept[arrived]}})
    assert given == {"SACRISTY_PARENT": "7", "SACRISTY_CHECKPOINT": kept[2]["path"]}


def test_a_checkpoint_of_another_machine_is_not_here():
    noted = {"path": "/nowhere/digits-1/000001-state", "number": 1, "host": "far"}
    with pytest.raises(NoCheckpoint) as fault:
        resume_environment(7, {"sacristy": {"checkpoint": noted}})
    assert "resume on far" in fault.value.advice
