"""What every manifest of this repository must be: valid for clusters of today, and of good conduct."""

import contextlib
import io
import re

VERSIONS = ("1.32", "1.36")
POD_KINDS = {
    "Pod": (),
    "Deployment": ("template",),
    "StatefulSet": ("template",),
    "DaemonSet": ("template",),
    "Job": ("template",),
    "CronJob": ("jobTemplate", "spec", "template"),
}
PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")


def invalid(documents, versions=VERSIONS):
    """Return what is wrong with manifests, for each version of Kubernetes; unknown fields are."""
    import kubernetes_validate  # two seconds: only where it is needed

    said = []
    for document in documents:
        for version in versions:
            try:
                with contextlib.redirect_stderr(io.StringIO()):
                    kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                said.append(f"{document['kind']} {document['metadata']['name']} on {version}: {error.message}")
    return said


def breaches(document, *, probes=True, node_cache=""):
    """Return which rules a document breaks; documents without pods break none.

    `node_cache`: the one folder of the nodes that may be mounted, for writing only before anything serves.
    """
    pod = pod_of(document)
    if pod is None:
        return []
    about = f"{document['kind']} {document['metadata']['name']}"
    said = [f"{about}: {rule}" for rule in _of_pod(pod, node_cache)]
    serves = document["kind"] in ("Deployment", "StatefulSet", "DaemonSet") and probes
    first = pod.get("initContainers", [])  # which end before anything serves
    for container, asked in [*((each, False) for each in first), *((each, serves) for each in pod["containers"])]:
        said += [f"{about}, {container['name']}: {rule}" for rule in _of_container(container, asked)]
    return said


def pod_of(document):
    """Return the pod in a document, or None."""
    if document["kind"] not in POD_KINDS:
        return None
    found = document
    for key in ("spec", *POD_KINDS[document["kind"]]):
        found = found[key]
    return found["spec"] if POD_KINDS[document["kind"]] else found


def _of_pod(pod, node_cache):
    security = pod.get("securityContext", {})
    on_nodes = {each["name"]: each["hostPath"]["path"] for each in pod.get("volumes", []) if "hostPath" in each}
    served = [mount for container in pod["containers"] for mount in container.get("volumeMounts", [])]
    shared = [mount for mount in served if mount["name"] in on_nodes]
    rules = {
        "runs as root": security.get("runAsNonRoot") is True and security.get("runAsUser", 0) > 0,
        "has no seccomp profile": security.get("seccompProfile", {}).get("type") == "RuntimeDefault",
        "shares the node's namespaces": not any(pod.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        "mounts the node's files": set(on_nodes.values()) <= {node_cache} - {""},
        "may write to the node's files": all(mount.get("readOnly") and "subPath" in mount for mount in shared),
        "leaves open whether it has a token": "automountServiceAccountToken" in pod,
    }
    return [rule for rule, kept in rules.items() if not kept]


def _of_container(container, serves):
    security, limits = container.get("securityContext", {}), container.get("resources", {}).get("limits", {})
    rules = {
        "its image is not pinned by digest": PINNED.fullmatch(container["image"]),
        "may write to its root": security.get("readOnlyRootFilesystem") is True,
        "may gain privileges": security.get("allowPrivilegeEscalation") is False,
        "keeps capabilities": security.get("capabilities", {}).get("drop") == ["ALL"],
        "has no limits": {"cpu", "memory"} <= limits.keys(),
        "has no requests": {"cpu", "memory"} <= container["resources"].get("requests", {}).keys(),
        "has no readiness probe": not serves or "readinessProbe" in container,
        "has no liveness probe": not serves or "livenessProbe" in container,
    }
    return [rule for rule, kept in rules.items() if not kept]
