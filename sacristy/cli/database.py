"""database provision: a MongoDB of one's own made ready for Sacristy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sacristy.cli.printing import JsonFlag, done, emit, out, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.settings import Role
from sacristy.stack import provisioning

PANEL = "The stack"
app = typer.Typer(no_args_is_help=True)


@app.command()
def provision(
    admin: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="A file with the address of a user who may make users: mongodb://USER:PASSWORD@HOST/?replicaSet=... "
            "If not given: the address that is set, as the user admin with secrets/mongodb-admin.",
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make users with the least rights, indexes and Omniboard's columns in your MongoDB. Again changes nothing."""
    bench = Workbench()
    with timed() as clock:
        url = admin.read_text(errors="replace").strip() if admin else bench.settings.database_url(Role.ADMIN)
        made = provisioning.provision_at(bench.settings, url)

    def show() -> None:
        table("Users", ["user", "password in"], [(user, path) for user, path in made.users.items()], "None.")
        out.print(f"for .sacristy/settings.toml of this project: mongodb_url = {made.address!r}", markup=False)
        done("MongoDB is ready; next: sacristy up", clock())

    emit(made, json, show)


def add_to(main: typer.Typer) -> None:
    """Add this group of commands."""
    main.add_typer(app, name="database", help="A MongoDB of your own.", rich_help_panel=PANEL)
