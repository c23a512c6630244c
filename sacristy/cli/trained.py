"""What training here and training on a cluster have in common: the run to go on from, and the run that was left."""

from __future__ import annotations

from contextlib import suppress

from sacristy.cli.workbench import Workbench
from sacristy.errors import DatabaseUnreachable, NotInitialised, RunNotArrived, RunOfAnotherModel, TrainingFailed
from sacristy.tracking.runs import RunRecord, find_by_token, find_run


def parent_of(bench: Workbench, model: str, number: int) -> RunRecord:
    """Return the run that a training of a model is to go on from. Raises UnknownRun or RunOfAnotherModel."""
    run = find_run(bench.database, number)
    if run.model != model:
        raise RunOfAnotherModel(run=number, found=run.model, model=model)
    return run


def run_left(bench: Workbench, model: str, token: str, code: int) -> RunRecord:
    """Return the run of an ended training. Raises TrainingFailed with its exit code, or RunNotArrived."""
    run = None
    with suppress(DatabaseUnreachable, NotInitialised):
        run = find_by_token(bench.database, token)
    if code:
        raise TrainingFailed(model=model, code=code, run=run.id if run else "none")
    if run is None:
        raise RunNotArrived(model=model)
    return run
