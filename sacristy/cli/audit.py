"""audit: who moved which stage, when, why, on whose word and on which evidence."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from sacristy.cli.printing import JsonFlag, emit, short, table
from sacristy.cli.workbench import Workbench
from sacristy.names import parse_model
from sacristy.project import Metric
from sacristy.release import approvals, moves
from sacristy.release.order import place_of

PANEL = "From image to stage"
COLUMNS = ("when", "who", "what", "stage", "version", "from", "to", "why", "approved by", "signature", "evidence")


def audit(
    model: Annotated[str, typer.Argument(help="Only this model.", metavar="[MODEL]")] = "",
    json: JsonFlag = False,
) -> None:
    """Show every move of every stage and every approval: who, when, from what to what, why, on which evidence."""
    bench = Workbench()
    wanted = parse_model(model) if model else None
    given = [_as_entry(approval) for approval in approvals.approvals(bench.database, wanted)]
    entries = sorted([*moves.events(bench.database, wanted), *given], key=place_of)
    empty = "No stage was moved yet. Next: sacristy release MODEL"
    emit(entries, json, lambda: table("Audit", COLUMNS, [_row(entry) for entry in entries], empty))


def _as_entry(approval: dict[str, Any]) -> dict[str, Any]:
    return approval | {"action": "approved", "state": "done", "from": None, "to": approval["digest"]}


def _row(entry: dict[str, Any]) -> tuple[Any, ...]:
    return (
        entry["at"],
        entry["by"],
        _action(entry),
        f"{entry['model']}:{entry['stage']}",
        entry["version"],
        short(entry["from"]),
        short(entry["to"]),
        entry["why"],
        ", ".join(given["by"] for given in entry.get("approvals") or ()),
        short(entry.get("signature")),
        _figures(entry["evidence"]),
    )


def _action(entry: dict[str, Any]) -> str:
    return str(entry["action"]).replace("_", " ") + ("" if entry["state"] == "done" else f" ({entry['state']})")


def _figures(proof: dict[str, Any] | None) -> str:
    """The scores only; the verdict holds the rest."""
    plain = proof["figures"].items() if proof else ()
    return " ".join(f"{name}={value:.4g}" for name, value in plain if name in get_args(Metric)) or "none"


def add_to(app: typer.Typer) -> None:
    """Add this file's command."""
    app.command(rich_help_panel=PANEL)(audit)
