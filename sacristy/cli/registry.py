"""images: list them, remove old ones, show what is in one."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from sacristy.cli.arguments import ImageName
from sacristy.cli.images import PANEL, images
from sacristy.cli.printing import JsonFlag, done, emit, err, say, short, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.images import sbom as documents
from sacristy.images.base import is_environment
from sacristy.images.garbage import GRACE_S, Garbage
from sacristy.images.layout import FolderRegistry
from sacristy.images.reading import lock_of
from sacristy.names import parse_model
from sacristy.release import leftovers
from sacristy.release.retention import Choice, Pruned, choose
from sacristy.release.retention import prune as remove
from sacristy.targets.routes import every_route, read_routes

LIST = "list"


class ListByDefault(TyperGroup):
    """`images` and `images MODEL` mean `images list ...`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` first unless a command or a question for help is there."""
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [LIST, *args]
        return super().parse_args(ctx, args)


group = typer.Typer(
    cls=ListByDefault,
    help="List the images that are built or pushed; remove old ones; show what is in one.",
    rich_markup_mode="rich",
)
group.command(LIST)(images)


@group.command()
def prune(
    model: Annotated[str, typer.Argument(help="Only this model.", metavar="[MODEL]")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    grace_h: Annotated[
        float, typer.Option("--grace-hours", min=0, help="Spare blobs that are younger: a push may need them.")
    ] = GRACE_S / 3600,
    json: JsonFlag = False,
) -> None:
    """Remove versions that no stage is at or can go back to (setting promotion.keep), then blobs that nothing uses."""
    bench = Workbench()
    wanted = [parse_model(model)] if model else bench.registry.repositories()
    models = [name for name in wanted if not is_environment(name)]
    running = _running(bench)
    choices = [choice for name in models for choice in choose(bench.desk, name, running)]
    if not json:
        _show(choices)
    going = {choice.digest for choice in choices if choice.goes}
    if going and not yes and not typer.confirm(f"Remove {len(going)} versions?", err=True):
        raise typer.Abort
    with timed() as clock:
        names = dict.fromkeys(choice.model for choice in choices)
        pruned = [remove(bench.desk, name, going, running, grace_h * 3600) for name in names]
    emit(pruned, json, lambda: _tell(pruned, clock()))


@group.command()
def gc(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")] = False,
    grace_h: Annotated[
        float, typer.Option("--grace-hours", min=0, help="Spare what is younger: it may be about to be used.")
    ] = GRACE_S / 3600,
    json: JsonFlag = False,
) -> None:
    """Remove what this machine can have again: versions built here beyond promotion.keep, unpacked ones not in use."""
    bench = Workbench()
    built, running = FolderRegistry(bench.settings.images_folder), set(_running(bench))
    versions = leftovers.built_here(built, bench.settings.promotion.keep, running)
    folders = leftovers.unpacked(bench.settings.home / "instances", running, grace_h * 3600)
    if not json:
        rows = [(f"{each.model}:{each.version}", f"{each.size:,}", _pushed(bench, each)) for each in versions]
        rows += [(each.folder.name, f"{each.size:,}", "unpacked") for each in folders]
        table("Not needed on this machine", ["image", "bytes", ""], rows, "This machine keeps nothing that may go.")
    if (versions or folders) and not yes:
        typer.confirm(f"Remove {len(versions)} built and {len(folders)} unpacked ones?", abort=True, err=True)
    with timed() as clock:
        freed = leftovers.remove(built, versions, folders, grace_h * 3600)
    data = {"built": versions, "unpacked": folders, "freed": freed}
    text = f"{len(versions)} built and {len(folders)} unpacked images removed, {freed:,} bytes freed"
    emit(data, json, lambda: done(text, clock()))


@group.command()
def sbom(image: ImageName, json: JsonFlag = False) -> None:
    """Print what is in an image as CycloneDX 1.6 JSON, made from the lock that it carries. It is kept beside it."""
    bench = Workbench()
    found, registry = bench.find(image)
    document = documents.read(registry, found.model, found.digest)
    if document is None and registry is bench.registry:
        documents.attach(registry, found.model, found.digest)
    lock = lock_of(registry, found.model, found.digest)
    made: Any = document or documents.document(lock, found.model, str(found.version), found.digest)

    def show() -> None:
        columns = ["package", "version", "scope", "hashes"]
        rows = [
            (part["name"], part.get("version", ""), part["scope"], len(part.get("hashes", ())))
            for part in made["components"]
        ]
        table(f"Packages of {found}", columns, rows, "It has no packages.")
        say(f"sacristy images sbom {found} --json prints the CycloneDX document")

    emit(made, json, show)


def _running(bench: Workbench) -> list[str]:
    return [route.digest for route in every_route(read_routes(bench.settings.routes_file))]


def _pushed(bench: Workbench, version: leftovers.BuiltHere) -> str:
    there = version.digest in bench.registry.versions(version.model).values()
    return "built, and pushed" if there else "built, never pushed"


def _show(choices: list[Choice]) -> None:
    rows = [
        (choice.model, choice.version, short(choice.digest), f"{choice.size:,}", choice.why or "goes")
        for choice in choices
    ]
    columns = ["model", "version", "digest", "bytes", "why it stays"]
    table("Pushed versions", columns, rows, "No version was pushed. Next: sacristy push MODEL")


def _tell(pruned: list[Pruned], took_s: float) -> None:
    for each in pruned:
        err.print(f"{each.model}: {len(each.versions)} versions, {_garbage(each.garbage)}", markup=False)
    done(f"{sum(len(each.versions) for each in pruned)} versions removed", took_s)


def _garbage(found: Garbage) -> str:
    if not found.removed:
        return f"{found.bytes:,} bytes for the registry to collect (registry garbage-collect)"
    young = f"; {found.kept_bytes:,} unused bytes are too young" if found.kept_blobs else ""
    return f"{found.blobs} blobs, {found.bytes:,} bytes removed{young}"


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.add_typer(group, name="images", rich_help_panel=PANEL)
