"""Release by tag: a run that a scientist tags `release` in Omniboard is checked, and its job is started, once.

A change stream brings tags at once; a reconciliation at the start and every EVERY_S finds those that were set while no
watcher ran, so that the stream may lose anything. Exactly once: a run is handled under a lease in MongoDB, its request
has a key that is written into the run before Jenkins is asked, and Jenkins is searched for that key before and after.

Tags that the scientist sees: `release` is asked; `releasing`: the job runs; then `released`, or `refused: reason`.
The whole of it is below the run's `sacristy.release`. Setting `release` again asks again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

from pymongo.errors import OperationFailure, PyMongoError

from sacristy.automation.client import Client, NoAnswer
from sacristy.automation.following import Result, result_of
from sacristy.automation.jobs import full_name
from sacristy.automation.requests import REFUSED, RELEASE, RELEASED, RELEASING, refusal, retag
from sacristy.automation.triggering import find, trigger
from sacristy.errors import JenkinsItemMissing, ReleaseLocked, SacristyError
from sacristy.release.lock import release_lock
from sacristy.release.verdict import now
from sacristy.settings import Settings
from sacristy.tracking.database import Documents, reason
from sacristy.tracking.runs import RunRecord, find_run
from sacristy.turns import beat
from sacristy.weights.store import Store

log = logging.getLogger(__name__)

EVERY_S = 30.0
GONE_AFTER = timedelta(minutes=5)
TOKENS = "watchers"
TOKEN_ID = "release by tag"  # noqa: S105 - the place in the change stream, no secret
NOT_ALLOWED = (13, 18)
Document = dict[str, Any]
Say = Callable[[str], None]


class Watcher:
    """Looks after tagged runs. Any number of them may run at once, on any machines."""

    def __init__(
        self, settings: Settings, database: Documents, store: Store, client: Client, say: Say = lambda _: None
    ) -> None:
        self.settings, self.database, self.store, self.client, self.say = settings, database, store, client, say

    def run(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Watch until stopped. What is away (MongoDB, Jenkins) is reported, and asked again."""
        while not stopped():
            beat(self.settings.home, "watcher")
            try:
                self.reconcile()
                self._follow_stream(stopped)
            except (PyMongoError, SacristyError) as error:
                self.say(f"{reason(error)}; again in {EVERY_S:.0f} s")
                self.client.sleep(EVERY_S)

    def reconcile(self) -> list[Document]:
        """Handle every run that asks to be released or is being released; return their `sacristy.release`."""
        begun = {"sacristy.release.state": {"$in": ["checking", "started"]}}
        query = {"$or": [{"omniboard.tags": RELEASE}, begun]}
        found = [document["_id"] for document in self.database.runs.find(query, {"_id": 1}).sort("_id", 1)]
        return [{"run": run} | outcome for run in found if (outcome := self.handle(run))]

    def handle(self, run: int) -> Document | None:
        """Bring one run as far as it can be brought now; return its `sacristy.release`, None if another has it."""
        try:
            with release_lock(self.database, f"tag of run {run}", "release by tag", self.settings.user):
                return self._handle(find_run(self.database, run))
        except ReleaseLocked:
            return None

    def _handle(self, run: RunRecord) -> Document | None:
        request: Document = (run.document.get("sacristy") or {}).get("release") or {}
        try:
            return self._look_at_build(run, request) if request.get("state") == "started" else self._check(run, request)
        except (SacristyError, NoAnswer) as error:  # the next reconciliation asks again, with the same key
            self.say(f"run {run.id}: {error}")
            return request

    def _check(self, run: RunRecord, request: Document) -> Document | None:
        if RELEASE not in tags_of(run):
            return self._withdraw(run, request) if request.get("state") == "checking" else None
        if request.get("state") != "checking":
            number = int(request.get("number", 0)) + 1
            request = {"state": "checking", "number": number, "key": f"release-{run.id}-{number}", "asked": now()}
            self._note(run, request, None)
        why = refusal(self.settings, run, self.store)
        return self._refuse(run, request, why) if why else self._start(run, request)

    def _start(self, run: RunRecord, request: Document) -> Document:
        job = full_name(self.settings, run.model)
        asker = (run.document.get("sacristy") or {}).get("user") or "a scientist"
        why = f"run {run.id} of {asker} was tagged {RELEASE} in Omniboard"
        if RELEASE not in tags_of(find_run(self.database, run.id)):
            return self._withdraw(run, request)
        given = {"MODEL": run.model, "RUN": str(run.id), "WHY": why}
        try:
            ticket = trigger(self.client, job, given, request["key"])
        except JenkinsItemMissing as error:
            return self._refuse(run, request, str(error))
        started = request | {"state": "started", "job": job, "queue": ticket.queue, "build": ticket.build, "at": now()}
        self.say(f"run {run.id}: {job} was started")
        return self._note(run, started, RELEASING)

    def _look_at_build(self, run: RunRecord, request: Document) -> Document:
        try:
            if request.get("build") is None:
                ticket = find(self.client, request["job"], request["key"])
                if ticket is None:
                    return self._gone(run, request, f"its build of {request['job']} is gone from Jenkins")
                if ticket.build is None:
                    return request
                request = self._note(run, request | {"build": ticket.build}, RELEASING)
            ended = result_of(self.client, request["job"], request["build"])
        except JenkinsItemMissing as error:
            return self._gone(run, request, str(error))
        if "missing" in request:
            request = self._note(run, {key: value for key, value in request.items() if key != "missing"}, None)
        if ended is None:
            return request
        done = request | {"url": ended.url, "result": str(ended.result), "ended": now()}
        if ended.result is not Result.SUCCESS:
            return self._refuse(run, done, f"build {ended.build} of {ended.job} ended as {ended.result}")
        self.say(f"run {run.id}: released")
        return self._note(run, done | {"state": "released"}, RELEASED)

    def _gone(self, run: RunRecord, request: Document, why: str) -> Document:
        """A build is not to be seen: it just leaves the queue, its controller just starts, or it was removed."""
        if "missing" not in request:
            return self._note(run, request | {"missing": now()}, None)
        return self._refuse(run, request, why) if now() - request["missing"] > GONE_AFTER else request

    def _withdraw(self, run: RunRecord, request: Document) -> Document:
        """The tag was taken away before anything was started."""
        return self._note(run, request | {"state": "withdrawn", "ended": now()}, None)

    def _refuse(self, run: RunRecord, request: Document, why: str) -> Document:
        self.say(f"run {run.id}: refused: {why}")
        return self._note(run, request | {"state": "refused", "reason": why, "ended": now()}, f"{REFUSED}: {why}")

    def _note(self, run: RunRecord, request: Document, tag: str | None) -> Document:
        retag(self.database, run.id, request, tag)
        return request

    def _follow_stream(self, stopped: Callable[[], bool]) -> None:
        """Handle tagged runs as the stream brings them, for EVERY_S; remember the place after each, and at the end."""
        until = time.monotonic() + EVERY_S
        for run in self._tagged(lambda: stopped() or time.monotonic() > until):
            self.handle(run)

    def _tagged(self, over: Callable[[], bool]) -> Iterator[int]:
        match = {"$match": {"fullDocument.omniboard.tags": RELEASE}}
        tokens = self.database[TOKENS]
        place = (tokens.find_one({"_id": TOKEN_ID}) or {}).get("place")
        try:
            with self.database.runs.watch(
                [match], full_document="updateLookup", resume_after=place, max_await_time_ms=500
            ) as stream:
                while not over():
                    change = stream.try_next()
                    if change is not None:
                        yield change["documentKey"]["_id"]
                    if change is not None or place is None:
                        place = self._remember(stream.resume_token)
                # Not at each look: every write in the database moves the place on, this one too.
                self._remember(stream.resume_token)
        except OperationFailure as error:
            if place is None or error.code in NOT_ALLOWED:
                raise
            # The oplog went on without us, or that is no place: the reconciliation that follows finds what was missed.
            log.warning("the place in the change stream is lost (%s); reconciling instead", error.code)
            tokens.delete_one({"_id": TOKEN_ID})

    def _remember(self, place: Any) -> Any:
        """Keep the place in the change stream, if it has one yet, and return it."""
        if place is not None:
            self.database[TOKENS].update_one({"_id": TOKEN_ID}, {"$set": {"place": place, "at": now()}}, upsert=True)
        return place


def tags_of(run: RunRecord) -> list[str]:
    """Return the tags that Omniboard shows."""
    return list((run.document.get("omniboard") or {}).get("tags") or ())
