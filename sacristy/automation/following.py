"""From a queue item to a build, its log as it is written, and its result; across restarts of the controller."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import TypeVar

from sacristy.automation.approvals import pending
from sacristy.automation.client import Client, Json, job_path
from sacristy.automation.triggering import PARAMETERS, Ticket, find, has_key
from sacristy.errors import (
    BuildCancelled,
    JenkinsFailed,
    JenkinsForbidden,
    JenkinsItemMissing,
    JenkinsRefused,
    JenkinsUnreachable,
    SacristyError,
)

POLL_S = 1.0
RESTART_S = 600.0  # for which a controller may be away while a build is followed
QUEUE_S = 24 * 3600.0
QUIET_POLLS = 3  # after which it is asked whether the build waits for somebody
COUNTS_DOWN = re.compile(r"\. Expires in| \(ETA")  # what follows in the reason why a build is still queued
QUEUED = f"cancelled,why,executable[number],{PARAMETERS}"

Found = TypeVar("Found")
Say = Callable[[str], None]


class Result(StrEnum):
    """How a build ended."""

    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    UNSTABLE = "UNSTABLE"
    ABORTED = "ABORTED"
    NOT_BUILT = "NOT_BUILT"


EXIT_CODES = {Result.SUCCESS: 0, Result.FAILURE: 1, Result.UNSTABLE: 3, Result.ABORTED: 4, Result.NOT_BUILT: 5}


@dataclass(frozen=True)
class Ended:
    """A build that ended."""

    job: str
    build: int
    url: str
    result: Result

    @property
    def exit_code(self) -> int:
        """0 for SUCCESS, 1 FAILURE, 3 UNSTABLE, 4 ABORTED, 5 NOT_BUILT (2 is wrong usage)."""
        return EXIT_CODES[self.result]


def wait_for_build(client: Client, ticket: Ticket, say: Say = lambda _: None, within_s: float = QUEUE_S) -> int:
    """Return the number of a ticket's build once it has begun, saying what it waits for.

    Jenkins forgets a queue item five minutes after it became a build; it is then found by its key.
    Raises BuildCancelled, JenkinsItemMissing, JenkinsUnreachable.
    """
    deadline, said, missed = client.clock() + within_s, "", 0
    while ticket.build is None:
        item = _queue_item(client, ticket)
        if item is None:
            missed += 1
            seen = find(client, ticket.job, ticket.key)
            if seen and seen.build is not None:
                return seen.build
            if missed > QUIET_POLLS and not seen:
                raise JenkinsItemMissing(item=f"queue item {ticket.queue} of {ticket.job}, nor a build of it")
        elif item.get("cancelled"):
            raise BuildCancelled(job=ticket.job, model=ticket.job.rpartition("/")[2])
        elif item.get("executable"):
            return int(item["executable"]["number"])
        elif (why := str(item.get("why") or "")) and COUNTS_DOWN.split(why)[0] != said:
            said = COUNTS_DOWN.split(why)[0]
            say(f"queued: {why}")
        if client.clock() > deadline:
            raise JenkinsUnreachable(url=client.url, reason=f"{ticket.job} has been queued for {within_s:.0f} s")
        client.sleep(POLL_S)
    return ticket.build


def follow(client: Client, job: str, build: int, write: Say, say: Say = lambda _: None) -> Ended:
    """Write a build's log as it grows, and return how it ended. Raises what reading raises, once patience is over.

    A controller that goes away is waited for. One that was killed may have lost the end of its log: what is sent again
    from the beginning then is not written twice.
    """
    page, position, quiet = f"{job_path(job)}/{build}", 0, 0
    waiting: set[str] = set()
    text = codecs.getincrementaldecoder("utf-8")("replace")  # what is sent may end in the middle of a character
    while True:
        address = f"{page}/logText/progressiveText?start={position}"
        answer = _patiently(client, say, partial(client.get, address, f"log of {job} #{build}", patience_s=0))
        size = int(answer.headers.get("X-Text-Size", position))
        if size > position:
            write(text.decode(answer.content))
            quiet = 0
        position = size
        if answer.headers.get("X-More-Data") != "true":
            ended = _patiently(client, say, partial(result_of, client, job, build))
            if ended:
                return ended
        quiet += 1
        if quiet == QUIET_POLLS:
            for question in _questions(client, job, build):
                if question not in waiting:
                    waiting.add(question)
                    say(question)
        client.sleep(POLL_S)


def result_of(client: Client, job: str, build: int) -> Ended | None:
    """Return how a build ended, or None while it runs. Raises JenkinsItemMissing, JenkinsUnreachable."""
    facts = client.get_json(
        f"{job_path(job)}/{build}/api/json?tree=building,inProgress,result,url", f"build {job} #{build}"
    )
    return _ended(job, build, facts)


def _ended(job: str, build: int, facts: Json) -> Ended | None:
    if facts.get("building") or facts.get("inProgress") or not facts.get("result"):
        return None
    try:
        return Ended(job, build, str(facts.get("url", "")), Result(facts["result"]))
    except ValueError:
        raise JenkinsFailed(doing=f"reading {job} #{build}", status=200, reason=f"result {facts['result']}") from None


def _patiently(client: Client, say: Say, work: Callable[[], Found]) -> Found:
    """Do something that a restarting controller cannot answer, until it can."""
    deadline = client.clock() + RESTART_S
    away = False
    while True:
        try:
            found = work()
        except JenkinsUnreachable:
            if client.clock() > deadline:
                raise
        except (JenkinsItemMissing, JenkinsForbidden, JenkinsRefused, JenkinsFailed):
            # Right after its start a controller has not loaded all jobs, users and permissions yet.
            if not away or client.clock() > deadline:
                raise
        else:
            if away:
                say("Jenkins is back")
            return found
        if not away:
            away = True
            say(f"Jenkins does not answer; waiting for it, for {RESTART_S:.0f} s at most")
        client.sleep(POLL_S)


def _queue_item(client: Client, ticket: Ticket) -> Json | None:
    """Return a ticket's queue item. A controller that was killed counts on from its last save: it may be another's."""
    if ticket.queue is None:
        return None
    path, item = f"queue/item/{ticket.queue}/api/json?tree={QUEUED}", f"queue item {ticket.queue}"
    try:
        found = client.get_json(path, item, patience_s=RESTART_S)
    except JenkinsItemMissing:
        return None
    return found if has_key(found, ticket.key) else None


def _questions(client: Client, job: str, build: int) -> list[str]:
    try:
        found = pending(client, job, build)
    except SacristyError:  # to say what it waits for is a courtesy
        return []
    model = job.rpartition("/")[2]
    return [f"it waits: {each.message} Answer with: sacristy jenkins approve {model} --build {build}" for each in found]
