"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.names import Reference, Stage, Version, parse_model, parse_reference, parse_stage, parse_version
from sacristy.settings import TargetName

ModelName = Annotated[str, typer.Argument(help="A model: a folder under models/.", parser=parse_model, metavar="MODEL")]
ImageName = Annotated[
    Reference,
    typer.Argument(
        help="An image: model:version, model:stage, model@digest, or model for its newest version.",
        parser=parse_reference,
        metavar="IMAGE",
    ),
]
StageName = Annotated[Stage, typer.Argument(help="staging or production.", parser=parse_stage, metavar="STAGE")]
Why = Annotated[str, typer.Option("--why", help="The reason, kept in the audit trail; required for production.")]
Where = Annotated[
    TargetName | None,
    typer.Option("--target", help="Where it runs: process, docker or kubernetes; the setting if not given."),
]
RunVersion = Annotated[Version, typer.Argument(parser=parse_version, metavar="VERSION")]
