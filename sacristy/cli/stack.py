"""init, up, down, status, doctor: the services themselves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any

import typer

from sacristy.cli.printing import JsonFlag, done, emit, out, say, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.errors import SacristyError
from sacristy.operator.canary import revive
from sacristy.operator.deployment import deploy
from sacristy.operator.strays import remove_strays
from sacristy.operator.survey import model_states
from sacristy.release.drift import stage_faults
from sacristy.settings import TargetName
from sacristy.stack import doctor as checks
from sacristy.stack import down as stopping
from sacristy.stack import init as beginning
from sacristy.stack import status as states
from sacristy.stack import up as starting
from sacristy.stack.afar import told
from sacristy.stack.composed import running as composed
from sacristy.stack.composed.doctor import doctor as examine_composed
from sacristy.stack.composed.init import init_composed
from sacristy.stack.composed.place import PROFILES, place_of

PANEL = "The stack"
ComposeFlag = Annotated[bool, typer.Option("--compose", help="The stack of containers in compose/, on this host.")]
Profile = StrEnum("Profile", {name.upper(): name for name in PROFILES})  # type: ignore[misc]


class Extra(StrEnum):
    """A service that is started only where it is asked for."""

    CEPH = "ceph"


def init(
    compose: ComposeFlag = False,
    name: Annotated[
        str, typer.Option(help="With --compose: the stack's host name; its subdomains lead here too.")
    ] = "",
    port: Annotated[int, typer.Option(help="With --compose: its one port.", min=1, max=65535)] = 443,
    json: JsonFlag = False,
) -> None:
    """Make this project's home folder and its secrets, once. Nothing is ever overwritten."""
    bench = Workbench()
    if compose:
        report = init_composed(bench.settings, name or socket.getfqdn(), port)
        place = f"{bench.settings.project / 'compose'}; next: sacristy up --compose"
    else:
        report, place = beginning.init(bench.settings), str(bench.settings.home)
    emit(report, json, lambda: say(f"{len(report.made)} made, {len(report.kept)} kept in {place}"))


def up(
    extra: Annotated[
        list[Extra] | None, typer.Option("--with", help="A service more: ceph keeps the weights from then on.")
    ] = None,
    compose: ComposeFlag = False,
    profile: Annotated[
        list[Profile] | None, typer.Option(help="With --compose: parts to start besides core; else what .env says.")
    ] = None,
    build: Annotated[bool, typer.Option("--build", help="With --compose: build the images anew, to upgrade.")] = False,
    renew: Annotated[
        bool, typer.Option("--renew", help="With --compose: make every container anew, for new secrets.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Start the services of the stack, and the models whose stages say so. Doing it twice changes nothing."""
    bench = Workbench()
    with timed() as clock:
        if compose:
            how = composed.How(profiles=tuple(profile or ()), build=build, renew=renew)
            with steps("starting the composed stack", json) as progress:
                services = composed.up(bench.settings, how, progress)
            emit(services, json, lambda: _show_services(services))
            if not json:
                done(f"the stack is up: {services['nginx'].url}", clock())
            return
        services = start(bench, quiet=json, with_ceph=Extra.CEPH in (extra or []))
    emit(services, json, lambda: _show_services(services))
    if not json:
        done("the stack is up", clock())


def down(compose: ComposeFlag = False, json: JsonFlag = False) -> None:
    """Stop everything that `up` started. Data stays."""
    bench = Workbench()
    with timed() as clock, steps("stopping the stack", quiet=json):
        if compose:
            composed.down(bench.settings)
            emit({"stopped": True}, json, lambda: done("the composed stack is down", clock()))
            return
        stop_containers(bench)
        stopping.down(bench.settings)
    emit({"stopped": True}, json, lambda: done("the stack is down", clock()))


def status(compose: ComposeFlag = False, json: JsonFlag = False) -> None:
    """Show what runs: every model's stages, and the services."""
    bench = Workbench()
    if compose:
        containers = composed.states(place_of(bench.settings))
        emit({"services": containers}, json, lambda: _show_services(containers))
        return
    services = states.service_states(bench.settings)
    models = told(bench.settings, model_states(bench.settings, bench.registry, bench.targets(bench.registry)))
    data = {"models": models, "services": services}

    def show() -> None:
        rows = [_row(model, stage, state) for model, stages in models.items() for stage, state in stages.items()]
        table(
            "Models",
            ["model", "stage", "version", "run", "digest", "ready", "answers at", ""],
            rows,
            "No model has a stage yet. Next: sacristy release MODEL",
        )
        out.print()
        _show_services(services)

    emit(data, json, show)


def doctor(compose: ComposeFlag = False, json: JsonFlag = False) -> None:
    """Look for faults, and name for each what mends it. Ends with 1 if something is broken."""
    bench = Workbench()
    if compose:
        findings = examine_composed(bench.settings)
    else:
        findings = checks.doctor(bench.settings, [lambda _: check_stages(bench)])
    rows = [(finding.level, finding.what, finding.mend) for finding in findings]
    emit(findings, json, lambda: table("Findings", ["level", "what", "mend"], rows, "Nothing is wrong."))
    if any(finding.level == "error" for finding in findings):
        raise typer.Exit(1)


def check_stages(bench: Workbench) -> Iterator[checks.Finding]:
    """Find stages that are not what the records say, if the database can be asked at all."""
    try:
        for what, mend in stage_faults(bench.desk):
            yield checks.Finding(checks.ERROR, what, mend)
    except SacristyError:
        return  # the services' own checks say that it is away


def start(bench: Workbench, *, quiet: bool, with_ceph: bool = False) -> dict[str, Any]:
    """Start the services and what the stages say, with progress shown; return the services' states."""
    with steps("starting the stack", quiet) as progress:
        services = starting.up(bench.settings, progress, with_ceph=with_ceph)
        redeploy(bench, progress)
    return services


def redeploy(bench: Workbench, progress: Any) -> None:
    """Bring every stage's image up again; one that fails is reported and does not hold up the others."""
    for model in bench.registry.repositories():
        for stage in bench.registry.stages(model):
            try:
                deploy(bench.yard_of(model, stage), model, stage, progress)
                revive(bench.yard_of(model, stage), model, stage, progress)
            except SacristyError as error:
                say(f"{model}:{stage}: {error}")
    for name in bench.targets_in_use():
        remove_strays(bench.yard_on(name))


def stop_containers(bench: Workbench) -> None:
    """Stop this project's containers, where it has any."""
    if TargetName.DOCKER in bench.targets_in_use():
        target = bench.target(bench.built, TargetName.DOCKER)
        for name in target.instances():
            target.stop(name)


def _row(model: str, stage: str, state: dict[str, Any]) -> tuple[Any, ...]:
    image = (state["version"], state["run"], state["digest"][7:19])
    return model, stage, *image, "asleep" if state["asleep"] else state["ready"], state["url"], state["detail"]


def _show_services(services: dict[str, Any]) -> None:
    rows = [(name, state.ready, state.url, state.detail) for name, state in services.items()]
    table("Services", ["service", "ready", "address", ""], rows, "Nothing runs. Next: sacristy up")


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (init, up, down, status, doctor):
        app.command(rich_help_panel=PANEL)(command)
