"""bundle: what a site without a network needs, in one folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sacristy.cli.printing import JsonFlag, done, emit, say, steps, table, timed
from sacristy.cli.progress import bytes_bar
from sacristy.cli.stack import Profile
from sacristy.cli.workbench import Workbench
from sacristy.names import parse_model
from sacristy.project import model_names
from sacristy.stack.bundle import making
from sacristy.stack.bundle.debian import NAME
from sacristy.stack.bundle.loading import check
from sacristy.stack.bundle.loading import load as bring
from sacristy.stack.bundle.manifest import read_manifest

PANEL = "The stack"
MB = 1e6
bundle = typer.Typer(help="For a site without a network: gather all it needs, and load it there.", no_args_is_help=True)
Folder = Annotated[Path, typer.Argument(help="The folder of the bundle.", metavar="DIR")]
ImagesFlag = Annotated[
    bool, typer.Option("--images/--no-images", help="With the images of the composed stack; they need Docker.")
]


def debian_names(names: list[str] | None) -> list[str] | None:
    """Return the names, if each can be one of Debian's packages."""
    for name in names or ():
        if not NAME.fullmatch(name):
            raise typer.BadParameter(f"{name!r} is no name of a Debian package")
    return names


@bundle.command()
def make(
    folder: Folder,
    model: Annotated[
        list[str] | None, typer.Option(help="A model whose packages go in; all if none is named.", metavar="MODEL")
    ] = None,
    profile: Annotated[
        list[Profile] | None, typer.Option(help="Parts of the composed stack besides core; else what .env says.")
    ] = None,
    image: Annotated[
        list[str] | None, typer.Option(help="An image of the engine more, by its name there.", metavar="IMAGE")
    ] = None,
    debian: Annotated[
        list[str] | None,
        typer.Option(
            help="A Debian package for the host itself, such as docker.io; what it depends on comes too.",
            metavar="PACKAGE",
            callback=debian_names,
        ),
    ] = None,
    images: ImagesFlag = True,
    search: Annotated[bool, typer.Option("--search", help="Also Ray's packages, for `sacristy search`.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go in.")] = False,
    json: JsonFlag = False,
) -> None:
    """Gather images, Python's and npm's packages and the project in a folder, with a manifest of every file."""
    bench = Workbench()
    models = [parse_model(name) for name in model or model_names(bench.settings.project)]
    wanted = making.plan(
        bench.settings, models, tuple(profile or ()), image or (), debian or (), images=images, search=search
    )
    if dry_run:
        emit(wanted, json, lambda: show_plan(wanted))
        return
    with timed() as clock, steps("making a bundle", quiet=json) as progress:
        manifest, digest = making.make(bench.settings, folder.resolve(), wanted, progress)
    facts = {"folder": str(folder.resolve()), "manifest": digest, "bytes": manifest.bytes, "commit": manifest.commit}
    counts = {"files": len(manifest.files), "images": manifest.images}

    def show() -> None:
        done(f"{folder}: {len(manifest.files)} files, {manifest.bytes / MB:,.0f} MB", clock())
        say(f"there: sacristy bundle load {folder} --digest {digest}")

    emit(facts | counts, json, show)


@bundle.command()
def load(
    folder: Folder,
    digest: Annotated[str, typer.Option(help="The manifest's digest, as `bundle make` printed it.")] = "",
    images: ImagesFlag = True,
    json: JsonFlag = False,
) -> None:
    """Check every byte of a bundle; then bring its images into the engine, and its packages to where pip takes them."""
    bench = Workbench()
    with timed() as clock:
        total = read_manifest(folder, digest).bytes
        with bytes_bar("checking", total, json) as advance:
            manifest = check(folder, digest, advance)
        with steps("loading the bundle", quiet=json) as progress:
            loaded = bring(bench.settings, folder, manifest, progress, images=images)
    text = f"{loaded.files} files are sound, {loaded.bytes / MB:,.0f} MB; {len(loaded.images_loaded)} images loaded"
    text += f", {len(loaded.images_present)} were there; packages come from {loaded.packages} from now on"

    def show() -> None:
        for name, here in loaded.renamed.items():
            say(f"{name} is {here} here: name it so in compose/.env")
        done(text, clock())

    emit(loaded, json, show)


def show_plan(wanted: making.Plan) -> None:
    """Show what would go in, with the sizes that are known before it is fetched."""
    rows = [("image", name, f"{size / MB:,.0f} MB") for name, size in wanted.images.items()]
    rows += [("pip", name, f"{text.count('==')} packages") for name, text in wanted.requirements.items()]
    rows += [("npm", "omniboard", f"{len(wanted.npm)} packages")]
    rows += [("debian", name, "and what it depends on") for name in wanted.debian]
    table("Bundle", ["kind", "name", "size"], rows, "Nothing.")
    say(f"images: {sum(wanted.images.values()) / MB:,.0f} MB at most, since what several share lies in it once")


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.add_typer(bundle, name="bundle", rich_help_panel=PANEL)
