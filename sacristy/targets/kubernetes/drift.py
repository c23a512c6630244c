"""What lies between a manifest and the object that a cluster has: nothing, or what somebody changed by hand."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

from sacristy.targets.kubernetes.workload import Json

SUFFIXES = {
    "": "1",
    "m": "0.001",
    "k": "1e3",
    "M": "1e6",
    "G": "1e9",
    "Ki": "1024",
    "Mi": "1048576",
    "Gi": "1073741824",
}


def difference(wanted: Any, live: Any, where: str = "") -> str:
    """Return where a live object first differs from what is wanted of it, as a dotted path; empty: nowhere.

    What the cluster fills in is no difference; an entry more in a list that the manifest has is one. The status and
    who applied it are the cluster's own. Of a policy the cluster fills in nothing: there a word more is a difference.
    """
    if isinstance(wanted, dict):
        found = _in_mapping(wanted, live, where)
        exact = wanted.get("kind") == "NetworkPolicy" and not found
        return _in_mapping(live["spec"], wanted["spec"], "spec") if exact else found
    if isinstance(wanted, list):
        return _in_list(wanted, live, where)
    return "" if wanted == live or _same_quantity(wanted, live) else where


def carried(wanted: Json, live: Json) -> Json:
    """Return a manifest with what a replacement must take over: what the cluster chose, and what load decided."""
    about = live["metadata"] | wanted["metadata"]
    for words in ("labels", "annotations"):
        about[words] = {**live["metadata"].get(words, {}), **wanted["metadata"].get(words, {})}
    about.pop("managedFields", None)
    whole = wanted | {"metadata": about}
    spec, had = dict(wanted.get("spec", {})), live.get("spec", {})
    if wanted["kind"] == "Deployment" and "replicas" not in spec:
        spec["replicas"] = had.get("replicas")
    if wanted["kind"] == "Service":
        spec = _addresses(had) | spec | {"ports": _with_node_ports(spec, had)}
    return whole | {"spec": spec} if spec else whole


def _in_mapping(wanted: Json, live: Any, where: str) -> str:
    if not isinstance(live, dict):
        return where
    for key, value in wanted.items():
        path = f"{where}.{key}" if where else key
        if key not in live and value not in ({}, []):
            return path
        found = difference(value, live.get(key, value), path)
        if found:
            return found
    return ""


def _in_list(wanted: list[Any], live: Any, where: str) -> str:
    if not isinstance(live, list) or len(live) != len(wanted):
        return where
    each = (difference(one, other, f"{where}[{at}]") for at, (one, other) in enumerate(zip(wanted, live, strict=True)))
    return next((found for found in each if found), "")


def _same_quantity(wanted: Any, live: Any) -> bool:
    one, other = _quantity(wanted), _quantity(live)
    return one is not None and one == other


def _quantity(value: Any) -> Decimal | None:
    """Return what `1024Mi` or `250m` stands for: the cluster writes `1Gi` and `0.25` for them if it likes."""
    if not isinstance(value, str):
        return None
    number = value.rstrip("mkMGKi")
    factor = SUFFIXES.get(value[len(number) :])
    try:
        return Decimal(number) * Decimal(factor) if factor else None
    except InvalidOperation:
        return None


def _addresses(had: Json) -> Json:
    return {key: had[key] for key in ("clusterIP", "clusterIPs", "ipFamilies") if key in had}


def _with_node_ports(spec: Json, had: Json) -> list[Json]:
    ports = {port.get("name"): port.get("nodePort") for port in had.get("ports", [])}
    keep = spec.get("type") == "NodePort"
    return [
        port | ({"nodePort": ports[port["name"]]} if keep and ports.get(port["name"]) else {}) for port in spec["ports"]
    ]
