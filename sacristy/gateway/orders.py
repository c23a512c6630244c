"""What ops may order over HTTP, as the command that does it: read, checked, and put together as an argument list.

The gateway's own code neither moves a stage nor starts an instance. It runs the same commands as people do, under the
name of the token that ordered it, so that policy, locks, signatures and the audit trail are those of the commands.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, ValidationError

from sacristy.commands import run
from sacristy.errors import CommandFailed, OrderFailed
from sacristy.names import Stage, parse_model, parse_reference, parse_version
from sacristy.serving.model import Schema
from sacristy.serving.schema import refusal
from sacristy.settings import Settings

START = "from sacristy.cli.main import main; main()"
TIMEOUT_S = 300.0
MOST_BYTES = 16 << 10
Why = Annotated[str, Field(max_length=500)]
Name = Annotated[str, Field(max_length=200)]
Words = list[str]


class Promotion(Schema):
    """Move a stage to an image, and deploy it."""

    image: Name
    stage: Stage = Stage.PRODUCTION
    why: Why = ""

    def commands(self) -> list[Words]:
        """Return the commands that do it. Raises InvalidName."""
        image = parse_reference(self.image)
        promote = ["promote", str(image), self.stage, f"--why={self.why}", "--json"]
        return [promote, ["deploy", image.model, self.stage, "--json"]]


class Approval(Schema):
    """Agree, as somebody other than who asked, that an image goes to a stage."""

    image: Name
    stage: Stage = Stage.PRODUCTION
    why: Why = ""

    def commands(self) -> list[Words]:
        """Return the command that does it. Raises InvalidName."""
        return [["approve", str(parse_reference(self.image)), self.stage, f"--why={self.why}", "--json"]]


class Rollback(Schema):
    """Move a stage back to the version before, and deploy that."""

    model: Name
    stage: Stage = Stage.PRODUCTION
    why: Why = ""

    def commands(self) -> list[Words]:
        """Return the command that does it. Raises InvalidName."""
        return [["rollback", parse_model(self.model), self.stage, f"--why={self.why}", "--json"]]


class Canary(Schema):
    """Start, promote or drop what is beside a stage's own version."""

    model: Name
    action: Literal["start", "promote", "drop"]
    kind: Literal["canary", "mirror"] = "canary"
    stage: Stage = Stage.PRODUCTION
    percent: Annotated[float, Field(gt=0, le=100)] = 10.0
    version: Annotated[str, Field(max_length=20)] = ""
    why: Why = ""

    def commands(self) -> list[Words]:
        """Return the command that does it. Raises InvalidName."""
        model = parse_model(self.model)
        if self.action != "start":
            return [["canary", model, f"--stage={self.stage}", f"--{self.action}", f"--why={self.why}", "--json"]]
        version = [f"--version={parse_version(self.version)}"] if self.version else []
        return [
            ["deploy", model, self.stage, f"--{self.kind}={self.percent:g}", *version, f"--why={self.why}", "--json"]
        ]


Order = Promotion | Approval | Rollback | Canary


def parse_order(kind: type[Order], body: bytes) -> Order:
    """Return what a body orders, or raise NotJson or InvalidInstance."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise refusal(error) from None


def carry_out(settings: Settings, order: Order, by: str) -> list[Any]:
    """Run an order's commands under somebody's name; return what each printed. Raises InvalidName or OrderFailed."""
    environment = os.environ | {
        "SACRISTY_PROJECT": str(settings.project),
        "SACRISTY_HOME": str(settings.home),
        "SACRISTY_USER": by,
    }
    results = []
    for words in order.commands():
        argv = [sys.executable, "-c", START, *words]
        try:
            printed = run(argv, folder=settings.project, environment=environment, timeout_s=TIMEOUT_S)
        except CommandFailed as error:
            raise OrderFailed(command=words[0], reason=str(error.fields["last"]).removeprefix("error: ")) from None
        results.append(orjson.loads(printed))
    return results
