"""Options of the commands that work on places of backups."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Place = Annotated[str, typer.Argument(help="A folder, or s3://bucket.", metavar="PLACE")]
Endpoint = Annotated[str, typer.Option(help="The gateway of s3://, if it is not the project's own.")]
Ca = Annotated[Path | None, typer.Option(help="The certificate that this gateway's is checked with.")]
KeyFile = Annotated[Path | None, typer.Option("--keys", help="A file with this gateway's keys: access:secret.")]
