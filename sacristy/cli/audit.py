"""audit, approvals: who moved which stage, when, why, on whose word and which evidence; and what waits for a word."""

from __future__ import annotations

from typing import Annotated, Any, get_args

import typer

from sacristy.cli.printing import JsonFlag, emit, short, table
from sacristy.cli.workbench import Workbench
from sacristy.model_file import Metric
from sacristy.names import parse_model
from sacristy.release import approvals as words
from sacristy.release import moves
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
    given = words.entries(bench.database, wanted)
    entries = sorted([*moves.events(bench.database, wanted), *given], key=place_of)
    empty = "No stage was moved yet. Next: sacristy release MODEL"
    emit(entries, json, lambda: table("Audit", COLUMNS, [_row(entry) for entry in entries], empty))


def approvals(
    model: Annotated[str, typer.Argument(help="Only this model.", metavar="[MODEL]")] = "",
    json: JsonFlag = False,
) -> None:
    """Show which promotions wait for somebody else's word (setting promotion.approvals), and whose they have."""
    bench = Workbench()
    found = words.pending(bench.database, bench.settings.promotion, parse_model(model) if model else None)
    rows = [_waiting_row(each, bench.settings.user) for each in found]
    columns = ["image", "to", "asked by", "at", "why", "approvals", "next"]
    emit(found, json, lambda: table("Waiting for a word", columns, rows, "Nothing waits for an approval."))


def _waiting_row(waiting: words.Pending, user: str) -> tuple[Any, ...]:
    image, names = f"{waiting.model}:{waiting.version}", ", ".join(each["by"] for each in waiting.given)
    count = f"{len(waiting.given)} of {waiting.wanted}" + (f" ({names})" if names else "")
    step = waiting.refuses(user) or (
        "" if not waiting.lacking else f"sacristy approve {image} {waiting.stage} --why '...'"
    )
    if waiting.may_promote(user):
        step = f"sacristy promote {image} {waiting.stage} --why '...'"
    return image, waiting.stage, waiting.by, waiting.at, waiting.why, count, step


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
    """Add this file's commands."""
    for command in (audit, approvals):
        app.command(rich_help_panel=PANEL)(command)
