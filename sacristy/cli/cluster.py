"""manifests, operator: what a stage is on a cluster, and what keeps all stages running."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Annotated

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, done, emit, timed
from sacristy.cli.workbench import Workbench
from sacristy.errors import AnotherActs, CannotListen
from sacristy.gateway.statistics import figures
from sacristy.names import Reference, Stage
from sacristy.operator.lease import LEASE_S, Lease
from sacristy.operator.loop import EVERY_S, Operator
from sacristy.operator.scraping import scrape_targets
from sacristy.operator.telemetry import Page
from sacristy.operator.watch import Watch
from sacristy.project import model_names
from sacristy.settings import TargetName
from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.manifests import as_yaml
from sacristy.targets.kubernetes.manifests import manifests as stage_manifests
from sacristy.targets.kubernetes.publishing import Publisher
from sacristy.targets.kubernetes.target import KubernetesTarget
from sacristy.targets.routes import read_routes
from sacristy.waiting import tell

PANEL = "From stage to answer"
SILENT_S = 60.0  # after which an operator is no longer well
operator = typer.Typer(help="Keep what runs equal to what the stages say.", no_args_is_help=True)


def manifests(
    model: ModelName,
    stage: Annotated[Stage, typer.Option("--stage", help="staging or production.")] = Stage.PRODUCTION,
    json: JsonFlag = False,
) -> None:
    """Print a stage's Kubernetes manifests as YAML, for GitOps. The operator applies the same ones by itself."""
    bench = Workbench()
    bench.model(model)
    image, registry = bench.find(Reference(model, stage=stage))
    documents = stage_manifests(KubernetesTarget(bench.settings, registry).workload(image, stage))
    emit(documents, json, lambda: print(as_yaml(documents), end=""))


@operator.command()
def run(
    once: Annotated[bool, typer.Option("--once", help="Look at everything once, do what is due, and end.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.05)] = EVERY_S,
    listen: Annotated[
        str, typer.Option(help="HOST:PORT for /metrics, /health and /targets; empty: nowhere.", metavar="HOST:PORT")
    ] = "",
    json: JsonFlag = False,
) -> None:
    """Keep what runs equal to what the stages say, until ended. Of several operators one acts."""
    bench = Workbench()
    kept = operator_of(bench)
    page = serve(kept, listen, every, bench.settings.routes_file) if listen else None
    with timed() as clock:
        if once:
            require_lease(kept.lease)
            kept.turn(whole=True)
            kept.finish()
            kept.lease.release()
        else:
            kept.run(every, ended_by_signal())
    if page:
        page.shutdown()
    rows = [{"task": task.do, "model": task.model, "stage": task.stage, "result": end} for task, end in kept.outcomes]
    emit(rows, json, lambda: done(f"{len(rows)} tasks done; the operator has ended", clock()))
    if once and (kept.watch.away or any(row["result"] == "failed" for row in rows)):
        raise typer.Exit(1)


def operator_of(bench: Workbench) -> Operator:
    """Return the operator of this project, on all targets that it knows."""
    logging.getLogger("operator").setLevel(logging.INFO)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    yards = {str(name): bench.yard_on(name) for name in TargetName}
    watch = Watch(bench.registry, bench.database)
    settings, lease = bench.settings, Lease(bench.database, holder)
    place = settings.cluster.routes
    publisher = Publisher(Cluster(settings.cluster), place, settings.routes_file) if place else None
    return Operator(
        yards,
        settings.target,
        lambda: model_names(settings.project),
        watch,
        lease,
        publisher=publisher,
        measure=lambda *asked: figures(bench.database, *asked),
    )


def require_lease(lease: Lease, patience_s: float = LEASE_S + 5) -> None:
    """Wait until nobody else acts: one that was killed is followed when its lease is over. Raises AnotherActs."""
    deadline = time.monotonic() + patience_s
    while not lease.hold():
        if time.monotonic() > deadline:
            raise AnotherActs(waited_s=round(patience_s))
        time.sleep(0.2)


def serve(kept: Operator, listen: str, every: float, routes_file: Path) -> Page:
    """Answer /metrics, /health and /targets at an address. Raises CannotListen."""
    host, _, port = listen.rpartition(":")
    try:
        limit_s = max(SILENT_S, 10 * every)
        page = Page((host, int(port)), kept.telemetry, limit_s, lambda: scrape_targets(read_routes(routes_file)))
    except (OSError, ValueError, OverflowError) as error:
        raise CannotListen(address=listen, reason=error) from None
    page.start()
    return page


def ended_by_signal() -> threading.Event:
    """Return what SIGTERM and SIGINT set; they end the waits of deployments under way too."""
    over = threading.Event()

    def end(*_: object) -> None:
        over.set()
        tell()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    return over


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command(rich_help_panel=PANEL)(manifests)
    app.add_typer(operator, name="operator", rich_help_panel=PANEL)
