"""Whom pods run as, and what their containers may do beyond computing: nothing."""

from __future__ import annotations

from sacristy.targets.kubernetes.workload import Json

USER = 65532


def pod_security() -> Json:
    """Return whom a pod runs as: nobody in particular, under the runtime's own list of system calls."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Json:
    """Return what a container may do beyond computing: nothing."""
    return {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
