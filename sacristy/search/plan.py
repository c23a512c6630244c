"""What a search is to do: settled once when it begins, kept in its run, and the same when it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sacristy.errors import InvalidSearch
from sacristy.model_file import Knob
from sacristy.project import Model
from sacristy.search.space import parse, spell
from sacristy.search.trials import Trials

SAMPLERS = ("asha", "optuna", "random")


@dataclass(frozen=True)
class Plan:
    """How trials are drawn, judged and stopped. `space`: knobs by name, as JSON. `words`: Sacred's, for each trial."""

    model: str
    trials: int
    sampler: str
    seed: int
    metric: str
    mode: str
    space: Mapping[str, Mapping[str, Any]]
    grace: int
    reduction: int
    best: int
    cpu: float
    gpu: float
    words: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self) | {"words": list(self.words)}

    def summary(self) -> dict[str, Any]:
        """Return what people want to know of it, as the configuration of the search's run."""
        names = ("trials", "sampler", "seed", "metric", "mode")
        varied = [spell(name, knob) for name, knob in self.space.items()]
        return {name: getattr(self, name) for name in names} | {"vary": varied, "words": " ".join(self.words)}


def make_plan(
    model: Model, *, trials: int, sampler: str, seed: int, varied: Sequence[str] = (), words: Sequence[str] = ()
) -> Plan:
    """Return the plan of a model's search. `varied`: knobs from the command line, which replace those of model.toml.

    Raises InvalidSearch.
    """
    declared = model.file.search
    metric = declared.metric or model.file.main_metric
    if not metric:
        raise InvalidSearch(where=f"{model.folder}/model.toml", reason="neither search.metric nor main_metric is set")
    space = knobs(varied) or {name: knob.plain() for name, knob in declared.space.items()}
    if not space:
        raise InvalidSearch(
            where=f"models/{model.name}/model.toml", reason="it has no [search.space], and no --vary is given"
        )
    return Plan(
        model=model.name,
        trials=trials,
        sampler=sampler,
        seed=seed,
        metric=metric,
        mode=declared.mode,
        space=space,
        grace=declared.grace,
        reduction=declared.reduction,
        best=declared.best,
        cpu=declared.cpu,
        gpu=declared.gpu,
        words=tuple(words),
    )


def knobs(varied: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the knobs that the command line names. Raises InvalidSearch."""
    found = {}
    for text in varied:
        try:
            name, knob = parse(text)
            found[name] = Knob.model_validate(knob).plain()
        except ValidationError as error:
            raise InvalidSearch(where=f"--vary {text}", reason=error.errors()[0]["msg"]) from None
        except ValueError as error:
            raise InvalidSearch(where=f"--vary {text}", reason=error) from None
    return found


def plan_of(document: Mapping[str, Any]) -> Plan:
    """Return the plan that a search's run was begun with."""
    kept = dict(document["sacristy"]["search"]["plan"])
    return Plan(**kept | {"words": tuple(kept["words"]), "space": dotted(kept["space"])})


def dotted(kept: Mapping[str, Any]) -> dict[str, Any]:
    """Return a mapping by configuration entries, whose dots MongoDB keeps as commas."""
    return {name.replace(",", "."): value for name, value in kept.items()}


def for_driver(
    plan: Plan,
    trials: Trials,
    *,
    search: int,
    parallel: int,
    address: str,
    environment: str,
    ranks: int,
    folder: Path,
) -> dict[str, Any]:
    """Return what the driver is told: the plan, what is past, what is to be repeated and which numbers are new.

    New is also a trial that was cut off before its run began, of which no run knows.
    `environment`: the model's. `ranks`: processes of one trial, all of them on one machine.
    """
    past, pending = trials.over(), trials.unfinished()
    job = {name: getattr(plan, name) for name in ("model", "metric", "mode", "words", "cpu", "gpu")} | {"ranks": ranks}
    names = ("trials", "sampler", "seed", "mode", "space", "grace", "reduction")
    shared = {name: getattr(plan, name) for name in names}
    return shared | {
        "parallel": parallel,
        "address": address,
        "folder": str(folder),
        "past": [trial.past(plan.mode) for trial in past],
        "pending": [{"number": trial.number, "values": trial.values} for trial in pending],
        "new": [number for number in range(1, plan.trials + 1) if number not in trials.by_number],
        "next": 1 + max(trials.by_number, default=0),
        "job": job | {"search": search, "environment": environment, "words": list(plan.words)},
    }
