"""tokens: who may ask the gateway for what."""

from __future__ import annotations

from typing import Annotated

import typer

from sacristy.cli.printing import JsonFlag, done, emit, out, table, timed
from sacristy.cli.workbench import Workbench
from sacristy.gateway.rights import RIGHTS, TokenRole
from sacristy.gateway.tokens import PER_SECOND, add_token, read_tokens, remove_token

group = typer.Typer(help="Make, list and remove the tokens that the gateway knows.", no_args_is_help=True)
TokenName = Annotated[str, typer.Argument(help="Whose it is, such as web-shop.", metavar="NAME")]


@group.command()
def add(
    name: TokenName,
    role: Annotated[
        TokenRole, typer.Option(help="application: predict and feedback; scientist: statistics too; ops: releases too.")
    ] = TokenRole.APPLICATION,
    per_second: Annotated[
        float, typer.Option(help="Requests that it may send in a second.", min=0.001, max=1e6)
    ] = PER_SECOND,
    json: JsonFlag = False,
) -> None:
    """Make a token. It is printed this once: only its hash is kept."""
    bench = Workbench()
    secret = add_token(bench.settings.tokens_file, name, role, bench.settings.user, per_second)
    data = {"name": name, "role": role, "per_second": per_second, "token": secret}
    emit(data, json, lambda: out.print(secret, markup=False))


@group.command()
def ls(json: JsonFlag = False) -> None:
    """List the tokens by name, without what is secret of them."""
    found = [
        {"name": token.name, "role": token.role, "per_second": token.per_second, "by": token.by, "at": token.at}
        for token in read_tokens(Workbench().settings.tokens_file)
    ]
    columns = ["name", "role", "may", "requests/s", "made by", "at"]
    rows = [
        (each["name"], each["role"], ", ".join(sorted(RIGHTS[TokenRole(str(each["role"]))])), *list(each.values())[2:])
        for each in found
    ]
    emit(found, json, lambda: table("Tokens", columns, rows, "There are none. Next: sacristy init"))


@group.command()
def rm(name: TokenName, json: JsonFlag = False) -> None:
    """Remove a token: from now on it and its sessions are refused."""
    with timed() as clock:
        remove_token(Workbench().settings.tokens_file, name)
    emit({"removed": name}, json, lambda: done(f"the token {name} is worthless from now on", clock()))


def add_to(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.add_typer(group, name="tokens", rich_help_panel="The stack")
