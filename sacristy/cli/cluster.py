"""manifests: what a stage is on a cluster, for those who apply it themselves."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.arguments import ModelName
from sacristy.cli.printing import JsonFlag, emit
from sacristy.cli.workbench import Workbench
from sacristy.names import Reference, Stage
from sacristy.targets.kubernetes.manifests import as_yaml
from sacristy.targets.kubernetes.manifests import manifests as stage_manifests
from sacristy.targets.kubernetes.target import KubernetesTarget

PANEL = "From stage to answer"


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


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel=PANEL)(manifests)
