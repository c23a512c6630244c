"""check, changed, dossier, watch, notify: what the stages of the Jenkinsfile ask besides the commands of a release."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from sacristy.automation import live
from sacristy.automation import notify as telling
from sacristy.automation.changed import change_of
from sacristy.cli.arguments import ImageName, ModelName
from sacristy.cli.difference import as_text
from sacristy.cli.environments import run_tests
from sacristy.cli.printing import JsonFlag, done, emit, steps, table, timed
from sacristy.cli.release import back, write_report
from sacristy.cli.workbench import Workbench
from sacristy.commands import follow
from sacristy.errors import CheckFailed, LimitBreached, NothingToRollBack, NotificationFailed
from sacristy.images import sbom
from sacristy.images.reading import baseline_of, lock_of
from sacristy.names import Stage, parse_model
from sacristy.project import model_names
from sacristy.release import evidence
from sacristy.release.difference import Place, compare
from sacristy.targets.target import Image

PANEL = "The build server"
FIRST = "Nothing is in production yet: this would be the first version.\n"


def check(
    model: ModelName,
    reports: Annotated[Path | None, typer.Option("--reports", help="Also write JUnit XML into this folder.")] = None,
    json: JsonFlag = False,
) -> None:
    """Lint, check types, run the unit tests, and the model's own tests. Ends with 1 if one does not pass."""
    bench = Workbench()
    file = bench.model(model)
    took: dict[str, float] = {}
    for name, argv in check_commands(reports).items():
        with timed() as clock:
            code = follow(argv, folder=bench.settings.project, quiet=json)
        took[name] = clock()
        if code:
            raise CheckFailed(name=name, code=code)
    with timed() as clock:
        run_tests(bench, file, quiet=json)
    took[f"tests of {model}"] = clock()
    emit(took, json, lambda: done(f"{', '.join(took)}: all passed", sum(took.values())))


def check_commands(reports: Path | None) -> dict[str, list[str]]:
    """Return the checks of the code, by name, as command lines."""
    python = [sys.executable, "-m"]
    junit = [f"--junitxml={reports / 'unit.xml'}"] if reports else []
    return {
        "lint": [*python, "ruff", "check", "."],
        "format": [*python, "ruff", "format", "--check", "."],
        "types": [*python, "mypy"],
        "unit tests": [*python, "pytest", "-q", "tests/unit", *junit],
    }


def changed(
    model: Annotated[str, typer.Argument(help="Only this model.", metavar="[MODEL]")] = "",
    since: Annotated[str, typer.Option("--since", help="The base commit; without one all counts as changed.")] = "",
    json: JsonFlag = False,
) -> None:
    """Show which models differ from a base commit: by code, runtime, hash of the data, or lock."""
    bench = Workbench()
    names = [bench.model(parse_model(model)).name] if model else model_names(bench.settings.project)
    found = [change_of(bench.settings.project, name, since) for name in names]
    documents = [each.as_document() for each in found]
    rows = [(each.model, each.changed, each.because, len(each.code), len(each.runtime)) for each in found]
    columns = ["model", "changed", "because of", "files", "of the runtime"]
    emit(documents[0] if model else documents, json, lambda: table("Changes", columns, rows, "There is no model."))


def dossier(
    image: ImageName,
    folder: Annotated[Path, typer.Argument(help="Where to write it.", metavar="FOLDER")],
    json: JsonFlag = False,
) -> None:
    """Write what speaks for and against an image: verdict, baseline, SBOM, and what differs from production."""
    bench = Workbench()
    with timed() as clock:
        found, registry = bench.find(image)
        place = Place(found, registry)
        parts = {
            "image.json": _plain({"model": found.model, "version": str(found.version), "digest": found.digest}),
            "acceptance.json": _plain(evidence.latest(bench.database, found.digest)),
            "baseline.json": _plain(baseline_of(registry, found.model, found.digest)),
            "sbom.json": _plain(_sbom(place)),
            "comparison.txt": _comparison(bench, place),
        }
        for name, text in parts.items():
            write_report(folder / name, text)
    written = {name: str(folder / name) for name in parts}
    emit(written, json, lambda: done(f"{', '.join(parts)} of {found} are in {folder}", clock()))


def watch(
    model: ModelName,
    minutes: Annotated[float, typer.Option("--minutes", min=0, max=1440, help="For how long.")] = 5.0,
    keep: Annotated[bool, typer.Option("--keep", help="Only report a breach; do not roll back.")] = False,
    json: JsonFlag = False,
) -> None:
    """Watch production's live answers; on a breach of [watch] in model.toml roll back, and end with 1."""
    bench = Workbench()
    limits = bench.model(model).file.watch
    with timed() as clock, steps(f"watching {model}:production", quiet=json) as progress:
        seen = live.watch(bench.settings, bench.database, model, limits, minutes, progress)
        outcome = ""
        if seen.verdict is live.Verdict.BREACHED:
            outcome = "it was left there (--keep)" if keep else _roll_back(bench, model, seen.reason, quiet=json)
    text = f"{model}:{seen.version} {seen.verdict}: {seen.asked} requests, {seen.error_rate:.2%} failed"
    emit({"watched": seen, "done": outcome}, json, lambda: done(text, clock()))
    if outcome:
        raise LimitBreached(image=f"{model}:{seen.version}", reason=seen.reason, done=outcome, model=model)


def notify(
    model: ModelName,
    outcome: Annotated[str, typer.Argument(help="How it went, in a word or two.", metavar="OUTCOME")],
    link: Annotated[str, typer.Option("--link", help="Where more is to be read.")] = "",
    detail: Annotated[str, typer.Option("--detail", help="A line more.")] = "",
    lenient: Annotated[bool, typer.Option("--lenient", help="A web hook that fails is only reported.")] = False,
    json: JsonFlag = False,
) -> None:
    """Tell the web hook in the setting notify_url how a release went. Without one, nothing is done."""
    bench = Workbench()
    url = telling.address(bench.settings)
    content = telling.message(model, outcome, link, detail)
    text = f"told: {content['text']}" if url else "nobody is to be told (setting notify_url)"
    with timed() as clock:
        try:
            if url:
                telling.send(url, content)
        except NotificationFailed as error:
            if not lenient:
                raise
            url, text = "", str(error)
    emit({"told": bool(url), **content}, json, lambda: done(text, clock()))


def _roll_back(bench: Workbench, model: str, reason: str, *, quiet: bool) -> str:
    with steps(f"rolling {model}:production back", quiet=quiet) as progress:
        try:
            _, deployment = back(bench, model, Stage.PRODUCTION, f"limits were broken: {reason}", progress)
        except NothingToRollBack:
            return "there is no earlier version to go back to"
    return f"rolled back to {deployment.image}"


def _comparison(bench: Workbench, place: Place) -> str:
    image: Image = place.image
    rival = bench.rival(image, Stage.PRODUCTION)
    if rival is None:
        there = bench.registry.tags(image.model).get(Stage.PRODUCTION) == image.digest
        return f"{image} is in production already.\n" if there else FIRST
    return as_text(compare(bench.settings.project, bench.database, Place(rival, bench.registry), place))


def _sbom(place: Place) -> Any:
    image = place.image
    known = sbom.read(place.registry, image.model, image.digest)
    lock = lock_of(place.registry, image.model, image.digest)
    return known or sbom.document(lock, image.model, str(image.version), image.digest)


def _plain(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2, default=str).decode() + os.linesep


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (check, changed, dossier, watch, notify):
        app.command(rich_help_panel=PANEL)(command)
