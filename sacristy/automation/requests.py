"""A run's request to be released: what is checked before its job is started, and how the outcome is written."""

from __future__ import annotations

from typing import Any

from bson import ObjectId

from sacristy.errors import SacristyError
from sacristy.project import load_model
from sacristy.settings import Settings
from sacristy.tracking.database import Documents
from sacristy.tracking.runs import CARD_DUE, RunRecord
from sacristy.weights.store import Store

RELEASE, RELEASING, RELEASED, REFUSED = "release", "releasing", "released", "refused"
OURS = rf"^({RELEASE}|{RELEASING}|{RELEASED}|{REFUSED}:.*)$"
LONGEST_TAG = 160


def refusal(settings: Settings, run: RunRecord, store: Store) -> str:
    """Return why a run may not be released, or an empty string.

    It must be whole (all it logged is there), of a model that the project has, from a commit, with all its weights in
    the store, and of somebody whom the policy names.
    """
    try:
        load_model(settings.project, run.model)
    except SacristyError as error:
        return str(error)
    who = str((run.document.get("sacristy") or {}).get("user") or "")
    allowed = settings.promotion.release_tags_by
    if allowed and who not in allowed:
        return f"runs of {who or 'nobody'} are not released by tag (setting promotion.release_tags_by)"
    if not run.complete:
        return f"it is not complete: {run.incomplete_because or run.status}"
    if run.dirty or not run.commit:
        return "it was made from changes that are in no commit"
    return missing_weights(run, store)


def missing_weights(run: RunRecord, store: Store) -> str:
    """Return which of a run's files the store lacks, or an empty string."""
    if not run.weights:
        return "it left no weights"
    gone = [file.name for file in run.weights if not store.has(file.digest)]
    return f"the store lacks its {', '.join(gone)}" if gone else ""


def retag(database: Documents, run: int, request: dict[str, Any], tag: str | None) -> None:
    """Write a request below the run's `sacristy.release`, and its tag instead of those it had, in one update.

    Without a tag the tags stay as they are. Tags that are not ours are never touched.
    """
    changes: dict[str, Any] = {"sacristy.release": {"$literal": request}, CARD_DUE: {"$literal": ObjectId()}}
    if tag is not None:
        ours = {"$regexMatch": {"input": {"$toString": "$$tag"}, "regex": OURS}}
        present = {"$ifNull": ["$omniboard.tags", []]}
        others = {"$filter": {"input": present, "as": "tag", "cond": {"$not": [ours]}}}
        changes["omniboard.tags"] = {"$concatArrays": [others, [{"$literal": tag[:LONGEST_TAG]}]]}
    database.runs.update_one({"_id": run}, [{"$set": changes}])
