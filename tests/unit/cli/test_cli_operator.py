"""How `operator run --once` ends: with 1 where something failed, or the registry could not be asked at all."""

from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from sacristy.cli import cluster
from sacristy.cli.main import app
from sacristy.names import Stage
from sacristy.operator.decide import Do, Task

TASK = Task(Do.DEPLOY, "news", Stage.PRODUCTION, "sha256:0", "it moved")


@pytest.mark.parametrize(
    ("away", "outcomes", "code"),
    [("", [], 0), ("", [(TASK, "done")], 0), ("", [(TASK, "failed")], 1), ("the registry does not answer", [], 1)],
)
def test_it_ends_well_only_if_it_could_look_and_nothing_failed(monkeypatch, away, outcomes, code):
    lease = SimpleNamespace(hold=lambda: True, release=lambda: None)
    watch = SimpleNamespace(away=away)
    kept = SimpleNamespace(lease=lease, watch=watch, outcomes=outcomes, turn=lambda whole: None, finish=lambda: None)
    monkeypatch.setattr(cluster, "Workbench", lambda: None)
    monkeypatch.setattr(cluster, "operator_of", lambda _: kept)
    assert CliRunner().invoke(app, ["operator", "run", "--once"]).exit_code == code
