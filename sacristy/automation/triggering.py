"""Starting a build once: every request carries a key, and whoever asks again looks for that key first.

The key is a parameter (KEY), declared in the XML of each job: Jenkins ignores unknown parameters silently, and keeps
declared ones with the queue item and the build, where they can be found after a time-out or a restart.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace

from sacristy.automation.client import Client, Json, NoAnswer, job_path, led_to
from sacristy.errors import (
    InvalidName,
    JenkinsParametersTooLong,
    JenkinsParametersUndeclared,
    JenkinsUnreachable,
    JenkinsUnsure,
)

KEY = "KEY"
KEY_PATTERN = r"[A-Za-z0-9][A-Za-z0-9._-]{3,79}"
MOST_BYTES = 64 * 1024
LOOK_BACK = 100  # builds
LOOKS = 5  # for a request that was not answered
LOOK_PAUSE_S = 2.0
PARAMETERS = "actions[parameters[name,value]]"
DECLARED = "property[parameterDefinitions[name]]"


@dataclass(frozen=True)
class Ticket:
    """A build that was asked for: its place in the queue, its number once it has one. `found`: it was there already."""

    job: str
    key: str
    queue: int | None = None
    build: int | None = None
    found: bool = False


def new_key() -> str:
    """Return a key that nobody has used."""
    return f"cli-{secrets.token_hex(8)}"


def trigger(client: Client, job: str, parameters: Mapping[str, str], key: str, *, fresh: bool = False) -> Ticket:
    """Start a build unless one with this key was started already, and return its ticket.

    `fresh`: the key was made for this call, so that nothing can have it yet. Raises JenkinsUnsure if no answer came and
    the build is not to be seen: asking again later with the same key is safe. Also InvalidName,
    JenkinsParametersTooLong, JenkinsParametersUndeclared, JenkinsUnreachable, JenkinsItemMissing, JenkinsFailed.
    """
    if not re.fullmatch(KEY_PATTERN, key, re.ASCII):
        raise InvalidName(kind="key", value=key, grammar="4 to 80 of A-Z, a-z, 0-9, '.', '_' and '-'")
    size = sum(len(text.encode("utf-8", "surrogateescape")) for pair in parameters.items() for text in pair)
    if size > MOST_BYTES:
        raise JenkinsParametersTooLong(job=job, size=size, most=MOST_BYTES)
    if known := None if fresh else find(client, job, key):
        return known
    given = {**parameters, KEY: key}
    _require_declared(client, job, given)
    return _start(client, job, given, key)


def find(client: Client, job: str, key: str) -> Ticket | None:
    """Return the build or queue item that has a key, or None. Raises JenkinsItemMissing if there is no such job.

    The queue is asked first: what leaves it between the two questions is among the builds then.
    """
    queued = client.get_json(f"queue/api/json?tree=items[id,{PARAMETERS}]", "queue")
    waiting = next((item["id"] for item in queued.get("items", ()) if has_key(item, key)), None)
    tree = f"builds[number,queueId,{PARAMETERS}]{{0,{LOOK_BACK}}}"
    builds = client.get_json(f"{job_path(job)}/api/json?tree={tree}", f"job {job}").get("builds") or ()
    for build in builds:
        if has_key(build, key):
            return Ticket(job, key, build.get("queueId"), build["number"], found=True)
    return Ticket(job, key, waiting, found=True) if waiting is not None else None


def _require_declared(client: Client, job: str, given: Mapping[str, str]) -> None:
    """Raise JenkinsParametersUndeclared: Jenkins drops such in silence, and would train instead of release."""
    facts = client.get_json(f"{job_path(job)}/api/json?tree={DECLARED}", f"job {job}")
    declared = {
        each.get("name") for part in facts.get("property") or () for each in part.get("parameterDefinitions") or ()
    }
    if missing := [name for name in given if name not in declared]:
        raise JenkinsParametersUndeclared(job=job, names=", ".join(missing))


def _start(client: Client, job: str, parameters: Mapping[str, str], key: str) -> Ticket:
    deadline = client.clock() + client.patience_s
    while True:
        try:
            answer = client.post(f"{job_path(job)}/buildWithParameters", f"starting {job}", f"job {job}", parameters)
        except NoAnswer as error:
            if error.sent:
                return _look_for(client, job, key, str(error))
            if client.clock() > deadline:
                raise JenkinsUnreachable(url=client.url, reason=error) from None
            client.sleep(LOOK_PAUSE_S)  # it was never sent
            continue
        number = re.search(r"/queue/item/(\d+)", led_to(answer))
        return Ticket(job, key, int(number[1])) if number else _look_for(client, job, key, "it named no queue item")


def _look_for(client: Client, job: str, key: str, reason: str) -> Ticket:
    """Look for a build that may have been taken. Never starts one: a request under way may still arrive."""
    for _ in range(LOOKS):
        client.sleep(LOOK_PAUSE_S)
        try:
            seen = find(client, job, key)
        except JenkinsUnreachable:
            continue
        if seen:
            return replace(seen, found=False)
    raise JenkinsUnsure(job=job, key=key, reason=reason)


def has_key(item: Json, key: str) -> bool:
    """Say whether a queue item or a build, as Jenkins tells it, was started with a key."""
    pairs = (pair for action in item.get("actions") or () if action for pair in action.get("parameters") or ())
    return any(pair.get("name") == KEY and pair.get("value") == key for pair in pairs)
