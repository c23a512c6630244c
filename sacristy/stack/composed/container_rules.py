"""What may be asked of the host's engine on the operator's behalf, as plain data and questions; guard.py asks them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from sacristy.targets.containers import HOME_LABEL, USER
from sacristy.targets.naming import is_instance, is_name_in_engine

Json = Mapping[str, Any]

API = r"(?:/v[0-9]{1,2}\.[0-9]{1,2})?"
CONTAINER = r"(?P<container>[a-z0-9][a-z0-9.-]{0,127})"
IMAGE = r"[A-Za-z0-9._:@/%-]{1,256}"
PLAIN = (
    ("HEAD", "/_ping"),
    ("GET", "/_ping"),
    ("GET", "/version"),
    ("GET", "/images/json"),
    ("GET", f"/images/{IMAGE}/json"),
)
LOAD = ("POST", r"/images/load(?:\?quiet=[01])?")  # the archive itself: archive_rules.py
REMOVE = ("DELETE", f"/images/(?P<image>{IMAGE})")  # models' only, and none that a container has: no query says force
LIST = ("GET", "/containers/json")
CREATE = ("POST", "/containers/create")
OF_ONE = (
    ("GET", "json"),
    ("GET", "logs"),
    ("POST", "start"),
    ("POST", "stop"),
    ("POST", "wait"),
    ("DELETE", ""),
)
# What the client sends in any case: without these words nothing would be left to say, and with others it is refused.
FIXED: dict[str, Any] = {
    "CapDrop": ["ALL"],
    "SecurityOpt": ["no-new-privileges"],
    "ReadonlyRootfs": True,
}
LIMITS = ("Memory", "MemorySwap", "NanoCpus", "PidsLimit")
FREE = {*LIMITS, "ShmSize", "LogConfig", "RestartPolicy", "NetworkMode", "Tmpfs", *FIXED}
ENDPOINTS = "EndpointsConfig"
LOG = {"Type", "Config"}
KEPT_HERE = (None, "", "json-file", "local")  # logs that the engine would not send anywhere
ABSENT_TOO = {"MemorySwappiness": (-1,), "ConsoleSize": ([0, 0],), "IpcMode": ("private",), "BlkioWeightDevice": ([],)}
BODY = {"Image", "User", "Labels", "Env", "HostConfig", "NetworkingConfig", "AttachStdout", "AttachStderr"}


def kind_of(method: str, target: str) -> tuple[str, str]:
    """Return what a request is: "plain", "create", "load" or "container" with its name or id; ("", "") is refused."""
    path, _, query = target.partition("?")
    if ".." in path or "//" in path or "\\" in target:
        return "", ""
    if method == CREATE[0] and re.fullmatch(API + CREATE[1], path):
        return "create", ""
    if method == LOAD[0] and re.fullmatch(API + LOAD[1], target):
        return "load", ""
    if method == LIST[0] and re.fullmatch(API + LIST[1], path):
        return ("plain" if _lists_models(query) else ""), ""
    removed = re.fullmatch(API + REMOVE[1], target) if method == REMOVE[0] else None
    if removed and is_name_in_engine(removed["image"]):
        return "plain", ""
    if any(method == verb and re.fullmatch(API + pattern, path) for verb, pattern in PLAIN):
        return "plain", ""
    for verb, word in OF_ONE:
        found = re.fullmatch(f"{API}/containers/{CONTAINER}{'/' + word if word else ''}", path)
        if method == verb and found:
            return "container", found["container"]
    return "", ""


def refusal_of_container(body: Json, network: str) -> str:
    """Return why a container may not be made so, or an empty string."""
    host: Json = body.get("HostConfig") or {}
    logged: Json = host.get("LogConfig") or {}
    joined: Json = body.get("NetworkingConfig") or {}
    parts = ((body, BODY), (host, FREE), (logged, LOG), (joined, {ENDPOINTS}))
    if twins := [name for part, known in parts for name in _respelt(part, known)]:
        return f"it spells {', '.join(sorted(twins))} in a way of its own"
    if body.get("User") != USER:
        return f"its user is not {USER}"
    if HOME_LABEL not in (body.get("Labels") or {}):
        return "it has not the operator's label"
    if host.get("NetworkMode") != network:
        return f"its network is not {network}"
    if others := _networks(body) - {network, "default"}:
        return f"it joins {', '.join(sorted(others))}"
    for name, wanted in FIXED.items():
        if host.get(name) != wanted:
            return f"{name} is not {wanted}"
    if unlimited := [name for name in LIMITS if not _positive(host.get(name))]:
        return f"it has no {unlimited[0]}"
    if logged.get("Type") not in KEPT_HERE:
        return f"its log goes to {logged['Type']}"
    if set(host.get("Tmpfs") or {}) - {"/tmp"}:  # noqa: S108 - inside of the container
        return "it mounts more than /tmp"
    more = [name for name, value in host.items() if name not in FREE and not _absent(name, value)]
    more += [name for name, value in body.items() if name not in BODY and not _absent(name, value)]
    return f"it asks for {', '.join(sorted(more))}" if more else ""


def is_models(found: Json) -> bool:
    """Say whether a container, as the engine describes it, is a model's instance that the operator started."""
    labels = (found.get("Config") or {}).get("Labels") or {}
    return HOME_LABEL in labels and is_instance(str(found.get("Name", "")).removeprefix("/"))


def _lists_models(query: str) -> bool:
    """Say whether a list is asked for of no other containers than those that have the operator's label."""
    asked = parse_qs(query, keep_blank_values=True).get("filters", [])
    try:
        labels = [str(label) for label in json.loads(asked[0])["label"]] if len(asked) == 1 else []
    except (ValueError, KeyError, TypeError):
        return False
    return any(label.partition("=")[0] == HOME_LABEL for label in labels)


def _networks(body: Json) -> set[str]:
    return set((body.get("NetworkingConfig") or {}).get(ENDPOINTS) or {})


def _respelt(given: Json, known: set[str]) -> list[str]:
    """Return names that are known ones but for their case: the engine takes those too, and the last one counts."""
    folded = {name.casefold() for name in known}
    return [name for name in given if name not in known and name.casefold() in folded]


def _positive(value: Any) -> bool:
    return isinstance(value, int) and value > 0


def _absent(name: str, value: Any) -> bool:
    return not value or value in ABSENT_TOO.get(name, ())
