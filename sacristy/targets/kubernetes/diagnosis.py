"""Why a pod does not run, in words: read from the pod that the API shows, or from its Deployment."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sacristy.targets.kubernetes.pods import GPU_RESOURCE
from sacristy.targets.kubernetes.workload import Json, sleeps

NO_IMAGE = frozenset({"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"})
NOT_MADE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
CRASHES = "CrashLoopBackOff"
PULLING = (
    "is it in the registry, and may the nodes pull it (its password, its certificate on every node)? sacristy images"
)
FETCHING = "sacristy weights verify; docs/how-to/kubernetes.md tells what pods need to fetch them"
ROOM = "free room on the nodes, or lower resources in model.toml; kubectl describe nodes shows who has it"


@dataclass(frozen=True)
class Hindrance:
    """What keeps a pod from running. `passing`: it may go away by itself; `mend`: what to do."""

    kind: str
    reason: str
    passing: bool = False
    mend: str = ""

    @property
    def lacks_gpu(self) -> bool:
        """Whether all processors of the pool are taken."""
        return self.kind == "Unschedulable" and GPU_RESOURCE in self.reason


def hindrance(pod: Json) -> Hindrance | None:
    """Return what keeps a pod from running, or None: it runs, or is on the way."""
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return Hindrance("Unschedulable", f"no node has room for it: {condition.get('message')}", True, ROOM)
    for container in status.get("initContainerStatuses", []):
        found = _of_fetching(container)
        if found:
            return found
    for container in status.get("containerStatuses", []):
        found = _of_container(container)
        if found:
            return found
    if _is_lost(pod):
        return Hindrance("Lost", f"its node {pod['spec'].get('nodeName')} is not heard of", True)
    if status.get("phase") == "Failed":
        return Hindrance("Failed", f"{status.get('reason', 'it failed')}: {status.get('message', 'it ended')}")
    return None


def is_hopeless(pod: Json) -> bool:
    """Say whether a pod is kept from running by what will not go away by itself."""
    found = hindrance(pod)
    return found is not None and not found.passing


def is_fetching(pod: Json) -> bool:
    """Say whether a pod is still bringing what its model needs."""
    return any("running" in each.get("state", {}) for each in pod.get("status", {}).get("initContainerStatuses", []))


def has_begun(pod: Json) -> bool:
    """Say whether a pod's container was started, whatever became of it."""
    states = [container.get("state", {}) for container in pod.get("status", {}).get("containerStatuses", [])]
    return any("running" in state or "terminated" in state for state in states)


def is_up(pod: Json) -> bool:
    """Say whether a pod's container runs, and was never restarted."""
    found = pod.get("status", {}).get("containerStatuses", [])
    return bool(found) and all("running" in each["state"] and each["restartCount"] == 0 for each in found)


def is_ready(pod: Json) -> bool:
    """Say whether a pod gets requests."""
    conditions = pod.get("status", {}).get("conditions", [])
    leaving = "deletionTimestamp" in pod["metadata"]
    return not leaving and any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def is_rolled_out(deployment: Json) -> bool:
    """Say whether all replicas are of the template that the Deployment has now, and answer."""
    status, wanted = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return False
    counts = (status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas"))
    return all(count == wanted for count in counts)


def has_replica(deployment: Json) -> bool:
    """Say whether a replica of the template that the Deployment has now answers: with older ones left, none may."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return False
    return bool(status.get("availableReplicas")) and status.get("updatedReplicas", 0) == status.get("replicas", 0)


def standstill(deployment: Json) -> str:
    """Return why a rollout will not go on by itself, or an empty string."""
    status = deployment.get("status", {})
    if status.get("observedGeneration", 0) < deployment["metadata"]["generation"]:
        return ""
    for condition in status.get("conditions", []):
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            return str(condition["message"])
        if condition["type"] == "Progressing" and condition["status"] == "False":
            return str(condition["message"])
    return ""


def summary(deployment: Json | None, pods: Iterable[Json]) -> str:
    """Return in a line how many replicas answer, and what hinders the others."""
    if deployment is None:
        return "its Deployment is gone"
    if sleeps(deployment):
        return "asleep until somebody asks"
    pods = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ready = sum(is_ready(pod) for pod in pods)
    text = f"{ready} of {deployment['spec'].get('replicas', 1)} replicas ready"
    reasons = sorted({found.reason for found in map(hindrance, pods) if found} | {standstill(deployment)} - {""})
    return "; ".join([text, *reasons])


def _is_lost(pod: Json) -> bool:
    """Say whether the cluster took a pod for not ready over the head of its node, which said the contrary last."""
    found = pod.get("status", {}).get("containerStatuses", [])
    said = bool(found) and all(each.get("ready") for each in found)
    return said and any(
        each["type"] == "Ready" and each["status"] == "False" for each in pod["status"].get("conditions", [])
    )


def _of_container(container: Json) -> Hindrance | None:
    state = container.get("state", {})
    waiting, ended = state.get("waiting", {}), state.get("terminated")
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if reason in NO_IMAGE:
        return Hindrance(
            "NoImage",
            f"its image cannot be pulled: {pulling_fault(message) or reason}",
            reason == "ErrImagePull",
            PULLING,
        )
    if reason in NOT_MADE:
        return Hindrance("NotMade", f"its container cannot be made: {message or reason}", True)
    if reason == CRASHES:
        ended = container.get("lastState", {}).get("terminated") or {}
        return Hindrance("Crashes", f"it ends again and again: {_how(ended)}")
    return Hindrance("Ended", _how(ended)) if ended else None


def _of_fetching(container: Json) -> Hindrance | None:
    """Return why weights cannot be fetched: what the container that does so said last."""
    found = _of_container(container)
    if found is None or found.kind not in ("Crashes", "Ended"):
        return found
    ended = container["state"].get("terminated") or container.get("lastState", {}).get("terminated") or {}
    if ended.get("exitCode") == 0:
        return None
    said = str(ended.get("message") or "").strip().splitlines() or [_how(ended)]
    return Hindrance("NoWeights", f"its weights cannot be fetched: {said[-1].removeprefix('weights: ')}", mend=FETCHING)


def pulling_fault(message: str) -> str:
    """Return the end of the chain of causes that the container runtime tells, which is the cause itself."""
    return re.sub(
        r'failed to [a-z ]+(: [A-Za-z]+)? "[^"]+": ', "", re.sub(r"^rpc error: code = \w+ desc = ", "", message)
    )


def _how(ended: Json) -> str:
    reason, code = ended.get("reason", "it ended"), ended.get("exitCode", "none")
    return "it took more memory than resources.memory_mib" if reason == "OOMKilled" else f"it ended with code {code}"
