"""Run cards written anew when something became of the run: judged, promoted, deployed.

Whoever annotates a run marks its card as due; the stack's keeper writes it, as the training's user, who may write
artifacts. A mark that changed meanwhile stays, so that nothing is left out.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from bson import Binary

from sacristy.tracking.card import FILE, MISFORMED, MOST_CURVES, card
from sacristy.tracking.database import Documents
from sacristy.tracking.runs import CARD_DUE
from sacristy.tracking.sending import PIECE_BYTES
from sacristy.tracking.state import object_id

Document = dict[str, Any]


def refresh_cards(database: Documents, gateway: str = "") -> list[int]:
    """Write every card that is due; return the runs' numbers. `gateway`: where answers are, for links."""
    refreshed = []
    for run in database.runs.find({CARD_DUE: {"$exists": True}}):
        file = next((entry["file_id"] for entry in run.get("artifacts") or [] if entry["name"] == FILE), None)
        if file is not None:
            with suppress(*MISFORMED):  # as where the card was first written, or rather was not
                page = card(about(run), _curves(database, run), run["_id"], gateway)
                _rewrite(database, file, page.encode())
                refreshed.append(run["_id"])
        database.runs.update_one({"_id": run["_id"], CARD_DUE: run["sacristy"]["card_due"]}, {"$unset": {CARD_DUE: ""}})
    return refreshed


def about(run: Document) -> Document:
    """Return a run's fields as the card takes them: what is ours by dotted path."""
    return run | {f"sacristy.{key}": value for key, value in (run.get("sacristy") or {}).items()}


def _curves(database: Documents, run: Document) -> dict[str, tuple[list[int], list[float]]]:
    """Return the curves that the card had when the run ended: the first that were logged, in that order."""
    listed = [metric["name"] for metric in (run.get("info") or {}).get("metrics") or ()][:MOST_CURVES]
    found = {each["name"]: each for each in database["metrics"].find({"run_id": run["_id"], "name": {"$in": listed}})}
    return {name: (found[name]["steps"], found[name]["values"]) for name in listed if name in found}


def _rewrite(database: Documents, file: Any, content: bytes) -> None:
    """Write a page over a longer or shorter one. The training's user may remove no piece, and GridFS refuses one too
    many: a shorter page is filled with blanks."""
    before = database["fs.files"].find_one({"_id": file}, {"length": 1}) or {}
    content = content.ljust(before.get("length", 0))
    for number, start in enumerate(range(0, len(content), PIECE_BYTES)):
        identity = object_id(str(file), str(number))
        piece = {"files_id": file, "n": number, "data": Binary(content[start : start + PIECE_BYTES])}
        database["fs.chunks"].replace_one({"_id": identity}, piece, upsert=True)
    database["fs.files"].update_one({"_id": file}, {"$set": {"length": len(content)}})
