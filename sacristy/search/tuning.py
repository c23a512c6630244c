"""The search itself, within Ray: Tune's own loop over our trials, which tells what becomes of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray.tune import Callback, RunConfig, TuneConfig, Tuner, with_resources

from sacristy.search.samplers import Numbered, stopper
from sacristy.search.trial import Training

Emit = Callable[[dict[str, Any]], None]


class Teller(Callback):
    """Tells what becomes of each trial."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what cannot be written down; Tune writes its state into a folder that is thrown away."""
        return {}

    def __deepcopy__(self, _memo: Any) -> Teller:
        """Stay the same one."""
        return self

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial begins."""
        self._tell("started", trial, values=trial.config["values"])

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **_: Any) -> None:
        """A trial has logged a point."""
        if not result.get("ended"):
            self._tell("point", trial, run=result["run"], step=result["step"], value=result["value"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial has come to its end, or was stopped."""
        last = trial.last_result or {}
        status = "COMPLETED" if last.get("ended") else "STOPPED"
        self._tell("ended", trial, status=status, run=last.get("run"))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:
        """A trial has failed."""
        lines = str(trial.get_error() or "").strip().splitlines() or ["no reason given"]
        run = (trial.last_result or {}).get("run")
        self._tell("ended", trial, status="FAILED", run=run, reason=lines[-1])

    def _tell(self, event: str, trial: Any, **fields: Any) -> None:
        self.emit({"event": event, "trial": trial.config["number"], **fields})


def tune(plan: dict[str, Any], emit: Emit) -> None:
    """Run all trials of a plan in the Ray that this process belongs to."""
    job = plan["job"]
    resources = {"cpu": job["cpu"], "gpu": job["gpu"]}
    options = TuneConfig(
        search_alg=Numbered(plan),
        scheduler=stopper(plan),
        num_samples=plan["trials"] - len(plan["past"]),
        max_concurrent_trials=plan["parallel"],
        reuse_actors=True,
    )
    run = RunConfig(name="search", storage_path=plan["folder"], callbacks=[Teller(emit)], verbose=0)
    Tuner(with_resources(Training, resources), tune_config=options, run_config=run).fit()
