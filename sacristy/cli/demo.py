"""demo: one model the whole way, from nothing to a served answer."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import httpx
import typer
from rich.markup import escape

from sacristy.cli.images import make, send
from sacristy.cli.printing import JsonFlag, emit, err, out, short, steps
from sacristy.cli.release import accept, show_verdict, to_stage
from sacristy.cli.serving import ask
from sacristy.cli.stack import start
from sacristy.cli.training import run_training
from sacristy.cli.workbench import Workbench
from sacristy.environments import ensure_environment, is_ready
from sacristy.errors import NotAccepted
from sacristy.names import Reference, Stage
from sacristy.release.examples import read_examples
from sacristy.tracking.links import omniboard_link

PAUSE_S = 0.01  # between the questions asked while versions are switched


def demo(
    model: Annotated[str, typer.Argument(help="The model to take the whole way.", metavar="[MODEL]")] = "digits",
    json: JsonFlag = False,
) -> None:
    """Set everything up, take a real model the whole way, and ask it a question. Once more: a second version."""
    bench, clock = Workbench(), Steps(quiet=json)
    file = bench.model(model)
    if not is_ready(bench.settings, file.lock):
        with clock.step("environment of the model"), steps("installing torch and the rest (once per lock)", json):
            ensure_environment(bench.settings, file.lock)
    with clock.step("stack up"):
        start(bench, quiet=json)
    with clock.step("train"):
        run = run_training(bench, file, [], {}, quiet=json)
    with clock.step("build"):
        built = make(bench, model, run.id, allow_dirty=True, quiet=json)
    image, registry = bench.find(Reference(model, digest=built.digest))
    with clock.step("test"):
        verdict = accept(bench, image, registry, Stage.PRODUCTION, quiet=json)
    if not json:
        show_verdict(verdict)
    if not verdict.passed:
        raise NotAccepted(image=image, reason=verdict.reason)
    with clock.step("push"):
        send(bench, image, quiet=json)
    with clock.step("staging: promote, deploy"):
        to_stage(bench, image, Stage.STAGING, "sacristy demo", quiet=json)
    instance, expected = read_examples(run, bench.store).golden[0]
    url, token = bench.settings.service_url("gateway"), bench.settings.own_token
    with clock.step("production: promote, deploy"), asking(url, token, model, instance) as asked:
        to_stage(bench, image, Stage.PRODUCTION, "sacristy demo", quiet=json)
    with clock.step("predict"):
        answer: Any = ask(url, token, model, Stage.PRODUCTION, _body(instance))
    data = {
        "steps": clock.seconds,
        "answer": answer,
        "expected": expected,
        "asked_while_switching": asked,
        "run": omniboard_link(bench.settings, run),
        "page": f"{url}/models/{model}",
        "dirty": run.dirty,
        "body": _body(instance).decode(),
        "token": f'"Authorization: Bearer $(cat {bench.settings.home}/secrets/gateway-application)"',
    }
    emit(data, json, lambda: _show(data, model, image.digest))


class Steps:
    """The seconds of each step, printed as it ends."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Time a step."""
        start = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - start
        if not self.quiet:
            err.print(f"[green]✓[/] {escape(name)} [dim]{self.seconds[name]:.1f} s[/]")


@contextmanager
def asking(url: str, token: str, model: str, instance: Any) -> Iterator[dict[str, int]]:
    """Keep asking production for as long as the block lasts, if it answered before; count questions and failures."""
    counts = {"asked": 0, "failed": 0}
    stop = threading.Event()
    shown = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=url, timeout=30, trust_env=False, headers=shown) as client:

        def answers() -> bool:
            body, headers = _body(instance), {"Content-Type": "application/json"}
            try:
                return client.post(f"/models/{model}/predict", content=body, headers=headers).status_code == 200
            except httpx.HTTPError:
                return False

        def loop() -> None:
            while not stop.wait(PAUSE_S):
                counts["asked"] += 1
                counts["failed"] += not answers()

        thread = threading.Thread(target=loop, daemon=True)
        if answers():
            thread.start()
        try:
            yield counts
        finally:
            stop.set()
            if thread.is_alive():
                thread.join()


def _body(instance: Any) -> bytes:
    return json.dumps({"instances": [instance]}).encode()


def _in_short(prediction: Any) -> str:
    """Return an answer's label and its three greatest probabilities, or the whole of another kind of answer."""
    if not isinstance(prediction, dict) or "probabilities" not in prediction:
        return json.dumps(prediction)
    likeliest = sorted(prediction["probabilities"].items(), key=lambda pair: -pair[1])[:3]
    return f"{prediction['label']} ({', '.join(f'{label} {share:.1%}' for label, share in likeliest)})"


def _show(data: dict[str, Any], model: str, digest: str) -> None:
    answer = data["answer"]
    asked = data["asked_while_switching"]
    if asked["asked"]:
        out.print(
            f"while the version was replaced, {asked['asked']} requests were answered and {asked['failed']} failed"
        )
    if data["dirty"]:
        out.print("[yellow]this version was made from uncommitted work, and its baseline says so[/]")
    out.print()
    out.print(
        f"[bold]{model}:{answer['version']}[/] {short(digest)} answers: {escape(_in_short(answer['predictions'][0]))}"
    )
    out.print()
    out.print("Where to look")
    out.print(f"  the run        {data['run'] or 'Omniboard is not running: sacristy status says why'}", markup=False)
    out.print(f"  the page       {data['page']}", markup=False)
    out.print(f"  the API        {data['page']}/openapi.json", markup=False)
    out.print()
    out.print("Ask it")
    asking = f"-H {data['token']} -H 'Content-Type: application/json' -d '{data['body']}'"
    out.print(f"  curl -s {data['page']}/predict {asking}", markup=False)
    out.print()
    out.print("Next")
    for line in (
        f"sacristy runs --model {model}",
        f"sacristy rollback {model} production --why 'to see it work'"
        if asked["asked"]
        else "make demo   # a second version",
        "make down   # stop everything",
    ):
        out.print(f"  .venv/bin/{line}" if line.startswith("sacristy") else f"  {line}", markup=False)


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel="The stack")(demo)
