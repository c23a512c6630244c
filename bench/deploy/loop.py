"""The operator's loop against the number of models: real code, answers from memory."""

from __future__ import annotations

import hashlib
import json
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path

from services.conftest import Mongod, find_mongod

from sacristy.names import Stage, Version
from sacristy.operator.deployment import Deployment, Yard
from sacristy.operator.lease import Lease
from sacristy.operator.loop import EVERY_S, Operator
from sacristy.operator.watch import SWEEP_S, Watch
from sacristy.project import model_names
from sacristy.settings import Role, Settings
from sacristy.targets.kubernetes.manifests import manifests
from sacristy.targets.kubernetes.target import KubernetesTarget
from sacristy.targets.naming import placed_name
from sacristy.targets.routes import Route
from sacristy.targets.target import Image

COUNTS = (10, 100, 300, 1000)
TURNS = 40
MODEL_TOML = 'title = "One of many"\n[gates]\nmetric = "accuracy"\nminimum = 0.9\n[kubernetes]\nmax_replicas = 8\n'


class Registry:
    """Answers for the stages of any model, and counts."""

    location = "https://registry:5000"

    def __init__(self):
        self.asked, self.moved = 0, {}

    def manifest(self, _model, _digest):
        return {}

    def stages(self, model):
        self.asked += 1
        return {Stage.PRODUCTION: self.moved.get(model, digest_of(model))}


class InMemory:
    """Stands in for a cluster's API: has what was applied to it. Counts listings."""

    def __init__(self):
        self.objects, self.listings = {}, 0

    def adapted(self, manifest):
        return manifest

    def apply(self, manifest):
        about = manifest["metadata"]
        self.objects.setdefault((manifest["kind"], about["namespace"]), {})[about["name"]] = manifest

    def each(self, kind, namespace, labels, version="v1"):
        self.listings += 1
        yield from self.objects.get((kind, namespace), {}).values()


def digest_of(model):
    return "sha256:" + hashlib.sha256(model.encode()).hexdigest()


def table():
    """Return the rows, one for each number of models."""
    columns = ["models", "quiet turn ms", "µs a model", "with survey ms", "µs a model", "registry questions/s"]
    columns += ["API calls/s", "50 moved: turns", "tasks begun"]
    rows = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    with tempfile.TemporaryDirectory() as place:
        mongod = Mongod(Path(place) / "mongod", find_mongod()).start().initiate()
        try:
            rows += [row(mongod, Path(place) / str(count), count) for count in COUNTS]
        finally:
            mongod.close()
    return "\n".join(rows)


def row(mongod, folder, count):
    operator, registry, cluster, clock = built(mongod, folder, count)
    operator.turn(whole=True)
    operator.idle()
    assert not operator.outcomes, "nothing is to be done where all is well"
    registry.asked = cluster.listings = 0
    quiet, surveyed = [], []
    for _ in range(TURNS):
        clock.now += EVERY_S
        before, start = cluster.listings, time.perf_counter()
        operator.turn()
        (surveyed if cluster.listings > before else quiet).append(time.perf_counter() - start)
    seconds = TURNS * EVERY_S
    asked, listed = registry.asked / seconds, cluster.listings / seconds
    turns, begun = storm(operator, registry, clock, count)
    plain, full = statistics.median(quiet), statistics.median(surveyed)
    cells = [
        count,
        f"{plain * 1e3:.1f}",
        f"{plain * 1e6 / count:.0f}",
        f"{full * 1e3:.1f}",
        f"{full * 1e6 / count:.0f}",
    ]
    cells += [f"{asked:.0f}", f"{listed:.1f}", turns, begun]
    operator.lease.release()
    return "| " + " | ".join(map(str, cells)) + " |"


def storm(operator, registry, clock, count):
    """Move up to 50 stages at once without a record; return the turns until all are begun, and how many were."""
    names = [f"model-{number}" for number in range(min(50, count))]
    registry.moved = {name: digest_of(f"{name} again") for name in names}
    turns = 0
    while len(operator.outcomes) < len(names):
        turns += 1
        clock.now += EVERY_S
        operator.turn()
        operator.idle()
    clock.now += EVERY_S
    operator.turn()  # which finds nothing more to do
    operator.idle()
    return turns, len(operator.outcomes)


def built(mongod, folder, count):
    """Return an operator over so many models, all of which run as they should."""
    for number in range(count):
        there = folder / "models" / f"model-{number}"
        there.mkdir(parents=True)
        (there / "model.toml").write_text(MODEL_TOML)
    (folder / "Pipfile").touch()
    settings = Settings(project=folder, home=folder / "home", registry="https://registry:5000")
    registry, clock = Registry(), Clock()
    target = KubernetesTarget(settings, registry)
    target.cluster = InMemory()
    database = mongod.database(Role.SERVICE)
    yard = Yard(settings, database, registry, None, target, "bench")
    names = model_names(folder)
    routes = {name: {"production": deployed(target, name)} for name in names}
    write(settings.routes_file, routes)

    one_at_a_time = threading.Lock()

    def perform(yard, task):
        image = Image(task.model, Version(1), 1, registry.moved[task.model])
        with one_at_a_time:
            routes[task.model]["production"] = deployed(target, task.model, image.digest)
            write(settings.routes_file, routes)
        return Deployment(image, task.stage, changed=True, url="")

    watch = Watch(registry, database, SWEEP_S, clock)
    lease = Lease(database, "bench", clock=clock)
    return (
        Operator({"kubernetes": yard}, "kubernetes", lambda: names, watch, lease, clock=clock, perform=perform),
        registry,
        target.cluster,
        clock,
    )


def deployed(target, model, digest=None):
    image = Image(model, Version(1), 1, digest or digest_of(model))
    for manifest in manifests(target.workload(image, "production")):
        target.cluster.apply(manifest)
    return Route("http://x", "1", image.digest, 1, "kubernetes", placed_name(model, "production", image.digest))


def write(path, routes):
    """Write the whole table at once; deploying does it a stage at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plain = {model: {stage: facts(route) for stage, route in stages.items()} for model, stages in routes.items()}
    path.with_suffix(".new").write_text(json.dumps({"models": plain}))
    path.with_suffix(".new").replace(path)


def facts(route):
    return {name: value for name, value in asdict(route).items() if value is not None}


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


if __name__ == "__main__":
    sys.exit("run bench/deploy/run.py operator")
