"""env: the Python environments that models are trained and served in, as folders and as images."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from sacristy import locks
from sacristy.cli.printing import JsonFlag, done, emit, say, steps, timed
from sacristy.cli.workbench import Workbench
from sacristy.commands import follow
from sacristy.environments import CATEGORIES, ensure_environment
from sacristy.errors import ModelTestsFailed
from sacristy.images.base import build_environment, copy_base, tag_of
from sacristy.images.wheelhouse import Variant
from sacristy.project import Model, model_names
from sacristy.search.driving import search_lock

PANEL = "From script to run"
STACK_CATEGORIES = "packages dev-packages embedded"
Models = Annotated[list[str] | None, typer.Argument(help="Models; all of them if none is named.", metavar="[MODEL]...")]

env = typer.Typer(help="Python environments of models: make, build, test, lock.", no_args_is_help=True)


@env.command()
def make(
    models: Models = None,
    search: Annotated[bool, typer.Option("--search", help="Also Ray's own, in which searches are driven.")] = False,
    json: JsonFlag = False,
) -> None:
    """Make the environment of each model, once per Pipfile.lock."""
    bench = Workbench()
    wanted = {model.name: model.lock for model in chosen(bench, models)}
    made = {}
    for name, lock in (wanted | ({"searches": search_lock(bench.settings)} if search else {})).items():
        with timed() as clock, steps(f"environment of {name}", quiet=json):
            made[name] = str(ensure_environment(bench.settings, lock))
        if not json:
            done(f"environment of {name}: {made[name]}", clock())
    emit(made, json, lambda: None)


@env.command()
def build(
    models: Models = None,
    base: Annotated[
        str, typer.Option(help="The image to build on, best by digest; the setting serving_base if not given.")
    ] = "",
    variant: Annotated[
        Variant | None, typer.Option(help="cpu or cuda; the setting serving_variant if not given.")
    ] = None,
    train: Annotated[bool, typer.Option("--train", help="With what training needs too.")] = False,
    json: JsonFlag = False,
) -> None:
    """Build the environment image of each model with the Docker engine, and push it: once per Pipfile.lock."""
    bench = Workbench()
    made = {}
    for model in chosen(bench, models):
        wanted = variant or Variant(bench.settings.serving_variant)
        with timed() as clock, steps(f"environment image of {model.name}", quiet=json) as progress:
            image = build_environment(
                bench.settings, model, bench.built, base=base, variant=wanted, train=train, progress=progress
            )
            report = copy_base(image, bench.built, bench.registry, progress)
            bench.registry.tag(image.repository, tag_of(wanted, train=train), image.digest)
        made[model.name] = {"image": image.reference, "bytes_sent": report.bytes_sent}
        if not json:
            done(f"environment image of {model.name}: {image.reference}", clock())
    emit(made, json, lambda: None)


@env.command()
def test(models: Models = None) -> None:
    """Run each model's own tests (unittest) in its own environment."""
    bench = Workbench()
    for model in chosen(bench, models):
        run_tests(bench, model)


@env.command()
def lock(models: Models = None) -> None:
    """Resolve each model's Pipfile anew (and the stack's, if no model is named) into a portable Pipfile.lock."""
    bench = Workbench()
    for model in chosen(bench, models):
        with timed() as clock, steps(f"locking {model.name}"):
            locks.lock(model.folder, CATEGORIES)
        done(f"locked {model.name}", clock())
    if not models:
        for name, folder in (("the stack", bench.settings.project), ("searches", search_lock(bench.settings).parent)):
            with timed() as clock, steps(f"locking {name}"):
                locks.lock(folder, STACK_CATEGORIES if name == "the stack" else "packages")
            done(f"locked {name}", clock())


def run_tests(bench: Workbench, model: Model, *, quiet: bool = False) -> None:
    """Run a model's own tests in its own environment. Raises ModelTestsFailed."""
    python = ensure_environment(bench.settings, model.lock)
    argv = [str(python), "-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "tests"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(model.folder), str(bench.settings.project)])}
    say(f"tests of {model.name}")
    code = follow(argv, folder=model.folder, environment=environment, quiet=quiet)
    if code:
        raise ModelTestsFailed(model=model.name, code=code)


def chosen(bench: Workbench, models: list[str] | None) -> list[Model]:
    """Return the named models, or all."""
    return [bench.model(name) for name in models or model_names(bench.settings.project)]


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.add_typer(env, name="env", rich_help_panel=PANEL)
