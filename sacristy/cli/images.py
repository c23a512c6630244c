"""build, push, images: from a run to an image in the registry."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.arguments import ImageName, ModelName
from sacristy.cli.printing import JsonFlag, done, emit, short, steps, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.errors import RunOfAnotherModel
from sacristy.images import sbom
from sacristy.images.base import NOTED, Base, base_of, bring_here
from sacristy.images.build import BuiltImage
from sacristy.images.build import build as build_image
from sacristy.images.copy import CopyReport, Progress, copy_image
from sacristy.images.wheelhouse import Variant
from sacristy.names import parse_run
from sacristy.targets.target import Image
from sacristy.tracking.runs import RunRecord, annotate, find_run, newest_run

PANEL = "From run to image"


def build(
    model: ModelName,
    run: Annotated[
        int | None,
        typer.Option(help="The run to build; the newest completed one if not given.", parser=parse_run, metavar="RUN"),
    ] = None,
    allow_dirty: Annotated[bool, typer.Option("--allow-dirty", help="Build a run of uncommitted work too.")] = False,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make run.N if the run's image came out different.")
    ] = False,
    no_base: Annotated[
        bool, typer.Option("--no-base", help="Leave the environment out: for the process target only.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Make the image of a run. The same run gives the same digest, every time and everywhere."""
    bench = Workbench()
    with timed() as clock:
        image = make(bench, model, run, allow_dirty=allow_dirty, rebuild=rebuild, no_base=no_base, quiet=json)
    emit(
        image, json, lambda: done(f"built {image.model}:{image.version} {image.digest} ({image.size:,} bytes)", clock())
    )


def push(image: ImageName, json: JsonFlag = False) -> None:
    """Send an image to the registry: only what is not there yet."""
    bench = Workbench()
    with timed() as clock:
        found, _ = bench.find(image)
        report = send(bench, found, quiet=json)
    text = f"pushed {found}: {report.blobs_sent} blobs, {report.bytes_sent:,} bytes; {report.blobs_present} were there"
    emit(report, json, lambda: done(text, clock()))


def images(
    model: Annotated[str, typer.Argument(help="Only this model.", metavar="[MODEL]")] = "", json: JsonFlag = False
) -> None:
    """List the images that are built or pushed, with their stages."""
    bench = Workbench()
    rows = bench.image_rows(model)
    columns = ["model", "version", "digest", "bytes", "built", "pushed", "stages"]
    cells = [
        (
            row["model"],
            row["version"],
            short(row["digest"]),
            f"{row['size']:,}",
            row["built"],
            row["pushed"],
            " ".join(row["stages"]),
        )
        for row in rows
    ]
    emit(rows, json, lambda: table("Images", columns, cells, "No image yet. Next: sacristy build MODEL"))


def make(
    bench: Workbench,
    model: str,
    run: int | None,
    *,
    allow_dirty: bool = False,
    rebuild: bool = False,
    no_base: bool = False,
    quiet: bool,
) -> BuiltImage:
    """Build a run's image with progress shown."""
    bench.model(model)
    record = find_run(bench.database, run) if run else newest_run(bench.database, model)
    if record.model != model:
        raise RunOfAnotherModel(run=record.id, found=record.model, model=model)
    with steps(f"building {model} from run {record.id}", quiet) as progress:
        base = None if no_base else base_for(bench, record, anew=rebuild, progress=progress)
        built = build_image(
            bench.settings,
            record,
            store=bench.store,
            allow_dirty=allow_dirty,
            rebuild=rebuild,
            base=base,
            progress=progress,
        )
    annotate(bench.database, record.id, NOTED, base.digest if base else "")
    return built


def base_for(bench: Workbench, record: RunRecord, *, anew: bool, progress: Progress) -> Base | None:
    """Return the environment image that a run's image is to lie on, brought to this machine; None if there is none."""
    variant = Variant(bench.settings.serving_variant)
    found = base_of(record, variant, bench.registry, bench.built, anew=anew)
    if found is None:
        return None
    base, where = found
    bring_here(base, where, bench.built, progress)
    return base


def send(bench: Workbench, image: Image, *, quiet: bool) -> CopyReport:
    """Push an image with progress shown."""
    with steps(f"pushing {image}", quiet) as progress:
        report = copy_image(bench.built, bench.registry, image.model, image.digest, progress)
        if bench.registry.tags(image.model).get(str(image.version)) != image.digest:
            bench.registry.tag(image.model, str(image.version), image.digest, expected=None)
        sbom.attach(bench.registry, image.model, image.digest)
    return report


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (build, push):
        app.command(rich_help_panel=PANEL)(command)
