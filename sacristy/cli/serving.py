"""deploy, predict, logs: from a stage to answers."""

from __future__ import annotations

import ssl
import sys
from typing import Annotated

import orjson
import typer

from sacristy.cli.arguments import ModelName, StageName, Where, Why
from sacristy.cli.canary import start_beside
from sacristy.cli.printing import JsonFlag, done, emit, out, steps, timed
from sacristy.cli.workbench import Workbench
from sacristy.client import Client
from sacristy.errors import GatewayAway, GatewayRefused, NotDeployed, PredictionRefused
from sacristy.names import Stage, Version, parse_version
from sacristy.operator.deployment import deploy as deploy_stage
from sacristy.targets.routes import ShareKind, read_routes

PANEL = "From stage to answer"
StageOption = Annotated[Stage, typer.Option("--stage", help="staging or production.")]


def deploy(
    model: ModelName,
    stage: StageName = Stage.PRODUCTION,
    target: Where = None,
    canary: Annotated[
        float | None,
        typer.Option(help="Beside it: another version that answers this share, in percent.", min=0.01, max=100),
    ] = None,
    mirror: Annotated[
        float | None,
        typer.Option(help="Beside it: another version that is asked copies of this share.", min=0.01, max=100),
    ] = None,
    version: Annotated[
        Version | None,
        typer.Option(help="The version beside it; the one in staging if not given.", parser=parse_version),
    ] = None,
    why: Why = "",
    json: JsonFlag = False,
) -> None:
    """Make a stage's image answer for the stage, without a failed request; or put another version beside it."""
    bench = Workbench()
    bench.started(target)
    percents = {kind: share for kind, share in ((ShareKind.CANARY, canary), (ShareKind.MIRROR, mirror)) if share}
    if percents:
        start_beside(bench, model, stage, target, percents, version, why, json)
        return
    with timed() as clock, steps(f"deploying {model}:{stage}", quiet=json) as progress:
        deployment = deploy_stage(bench.yard_on(target), model, stage, progress)
    did = "deployed" if deployment.changed else "already runs:"
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in deployment.parts.items())
    text = f"{did} {deployment.image} for {stage} at {deployment.url}" + (f" ({parts})" if parts else "")
    emit(deployment, json, lambda: done(text, clock()))


def predict(
    model: ModelName,
    body: Annotated[str, typer.Option("--json", help='The request, {"instances": [...]}, or - to read it from input.')],
    stage: StageOption = Stage.PRODUCTION,
) -> None:
    """Ask a model through the gateway, and print its answer as JSON."""
    bench = Workbench()
    bench.model(model)
    text = sys.stdin.read() if body == "-" else body
    url = bench.settings.service_url("gateway")
    if not url:
        raise GatewayAway(url="an address", reason="the stack was never started")
    question = text.encode("utf-8", "surrogateescape")
    answer = ask(url, bench.settings.own_token, model, stage, question, bench.settings.gateway_trust)
    sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")


def ask(url: str, token: str, model: str, stage: Stage, body: bytes, trust: ssl.SSLContext | bool = True) -> object:
    """Send a request body to the gateway; return the answer. Raises GatewayAway, NotDeployed or PredictionRefused."""
    with Client(url, token, timeout_s=60.0, tries=1, verify=trust) as client:
        try:
            return client.ask(model, body, stage=stage)
        except GatewayRefused as error:
            if error.fields["code"] == "nothing_deployed":
                raise NotDeployed(model=model, stage=stage) from None
            status, reason = error.fields["status"], error.fields["reason"]
            raise PredictionRefused(model=model, status=status, reason=reason) from None


def logs(
    model: ModelName,
    stage: Annotated[Stage, typer.Option("--stage", help="staging or production.")] = Stage.PRODUCTION,
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    json: JsonFlag = False,
) -> None:
    """Show the last lines that a stage's instance printed."""
    bench = Workbench()
    bench.model(model)
    route = read_routes(bench.settings.routes_file).get(model, {}).get(stage)
    if route is None:
        raise NotDeployed(model=model, stage=stage)
    found = bench.target(bench.registry, route.target).log_tail(route.instance, lines)
    emit({"instance": route.instance, "lines": found}, json, lambda: out.print("\n".join(found), markup=False))


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (deploy, predict, logs):
        app.command(rich_help_panel=PANEL)(command)
