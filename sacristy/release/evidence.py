"""Verdicts kept with the digest they were made on; promotion asks here."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from sacristy.errors import NoEvidence, NotAccepted
from sacristy.release.order import NEWEST_FIRST, next_place
from sacristy.release.verdict import Verdict
from sacristy.tracking.runs import annotate

Document = dict[str, Any]
COLLECTION = "evidence"


def record(database: Database[Document], verdict: Verdict, by: str) -> None:
    """Keep a verdict, and note its outcome in the run it judges.

    It is the newest from now on, whatever the clock of the machine said that made it.
    """
    document = verdict.as_document() | {"by": by} | next_place(database).fields()
    database[COLLECTION].insert_one(dict(document))
    summary = {name: document[name] for name in ("digest", "version", "passed", "figures", "at")}
    annotate(database, verdict.run, "acceptance", summary | {"reason": verdict.reason})


def latest(database: Database[Document], digest: str) -> Document | None:
    """Return the newest verdict on a digest, or None."""
    return database[COLLECTION].find_one({"digest": digest}, {"_id": 0}, sort=NEWEST_FIRST)


def require(database: Database[Document], digest: str, image: str) -> Document:
    """Return the newest verdict on a digest if it passed; raise NoEvidence or NotAccepted."""
    found = latest(database, digest)
    if found is None:
        raise NoEvidence(image=image, digest=digest)
    if not found["passed"]:
        reason = "; ".join(f"{check['name']}: {check['reason']}" for check in found["checks"] if not check["passed"])
        raise NotAccepted(image=image, reason=reason)
    return found


def require_once(database: Database[Document], digest: str, image: str) -> Document:
    """Return the newest verdict on a digest that passed, whatever later ones say; raise NoEvidence or NotAccepted."""
    passed = database[COLLECTION].find_one({"digest": digest, "passed": True}, {"_id": 0}, sort=NEWEST_FIRST)
    return passed or require(database, digest, image)
