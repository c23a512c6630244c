"""Weights that an image does not carry, as data: fetched by an init container, into a cache, before the model starts.

Only that container has the store's keys and may write to the cache. The model's own container is given each file by
itself, read-only: it sees nothing else of the cache, and the pods of other models see nothing of it.
"""

from __future__ import annotations

import base64
import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from sacristy.images.fetched import Fetched
from sacristy.settings import Cluster
from sacristy.targets.kubernetes.security import container_security
from sacristy.targets.kubernetes.workload import OURS, Json, Placed, shared_metadata

CONTAINER = "weights"
PROGRAM = ["python", "-m", "sacristy.serving.fetching"]
LABEL = {"dev.sacristy.weights": "ceph"}  # of pods that fetch theirs: they may reach the store
SECRET, KEYS, CA = "sacristy-weights", "keys", "ca.pem"
CACHE, SECRETS, WEIGHTS = "/cache", "/store", "/app/weights"
SLOWEST = 16 << 20  # bytes per second: what a rollout waits for
SPARE_MIB = 64
NO_PORTS = {"https": 443, "http": 80}
ANY = "0.0.0.0/0"
CPU, MEMORY = ("100m", "1"), ("64Mi", "256Mi")  # requests and limits


@dataclass(frozen=True)
class Fetching:
    """What a workload fetches and from where: `location` is s3://bucket, at an S3 gateway's address.

    `secret`: what the Secret holds, by key; empty where manifests are only shown.
    """

    fetched: Fetched
    location: str
    endpoint: str
    region: str = ""
    has_ca: bool = False
    secret: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def seconds(self) -> int:
        """How long it may take."""
        return self.fetched.size // SLOWEST


def init_container(fetching: Fetching, cluster: Cluster, reference: str) -> Json:
    """Return what fetches: the model's own image, which knows its weights by digest. Its last line tells a failure."""
    return {
        "name": CONTAINER,
        "image": reference,
        "imagePullPolicy": "IfNotPresent",
        "command": PROGRAM,
        "env": [{"name": name, "value": value} for name, value in _variables(fetching, cluster).items()],
        "resources": {
            "requests": {"cpu": CPU[0], "memory": MEMORY[0]},
            "limits": {"cpu": CPU[1], "memory": MEMORY[1]},
        },
        "securityContext": container_security(),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "weights", "mountPath": CACHE},
            {"name": "store", "mountPath": SECRETS, "readOnly": True},
        ],
    }


def volumes(fetching: Fetching, cluster: Cluster) -> list[Json]:
    """Return the cache, of the node or of the pod, and the store's keys."""
    mib = (fetching.fetched.size >> 20) + SPARE_MIB
    on_node = {"hostPath": {"path": cluster.weights_cache, "type": "DirectoryOrCreate"}}
    own = {"emptyDir": {"sizeLimit": f"{mib}Mi"}}
    return [
        {"name": "weights", **(on_node if cluster.weights_cache else own)},
        {"name": "store", "secret": {"secretName": SECRET, "defaultMode": 0o440}},
    ]


def mounts(fetching: Fetching) -> list[Json]:
    """Return each file at its place in the model's container, where nobody may write."""
    return [
        {
            "name": "weights",
            "mountPath": f"{WEIGHTS}/{file.name}",
            "subPath": file.digest.removeprefix("sha256:"),
            "readOnly": True,
        }
        for file in fetching.fetched.files
    ]


def secret(workload: Placed, fetching: Fetching) -> Json:
    """Return the keys of the store's reader, and the certificate to check the gateway's with."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in fetching.secret.items()}
    about = shared_metadata(workload, SECRET)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": about, "type": "Opaque", "data": data}


def store_policy(workload: Placed, fetching: Fetching, cluster: Cluster) -> Json:
    """Return that pods which fetch may reach the store's port, and ask for its address if it has a name."""
    where = urlsplit(fetching.endpoint)
    port = where.port or NO_PORTS[where.scheme]
    egress: list[Json] = [
        {"to": [{"ipBlock": {"cidr": _addresses(where.hostname or "", cluster)}}], "ports": [_port(port)]}
    ]
    if not _is_address(where.hostname or ""):
        egress.append({"ports": [_port(53, "UDP"), _port(53)]})
    spec = {"podSelector": {"matchLabels": OURS | LABEL}, "policyTypes": ["Egress"], "egress": egress}
    about = shared_metadata(workload, "sacristy-weights")
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": about, "spec": spec}


def _variables(fetching: Fetching, cluster: Cluster) -> dict[str, str]:
    told = {
        "SACRISTY_WEIGHTS": fetching.location,
        "SACRISTY_WEIGHTS_ENDPOINT": fetching.endpoint,
        "SACRISTY_STORE_KEYS": f"{SECRETS}/{KEYS}",
        "SACRISTY_CACHE": CACHE,
    }
    told |= {"SACRISTY_CACHE_LIMIT": str(cluster.weights_cache_gib << 30)} if cluster.weights_cache else {}
    told |= {"SACRISTY_WEIGHTS_CA": f"{SECRETS}/{CA}"} if fetching.has_ca else {}
    return told | ({"AWS_DEFAULT_REGION": fetching.region} if fetching.region else {})


def _addresses(host: str, cluster: Cluster) -> str:
    if cluster.store_addresses or not _is_address(host):
        return cluster.store_addresses or ANY
    return str(ipaddress.ip_network(host))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _port(number: int, protocol: str = "TCP") -> Json:
    return {"port": number, "protocol": protocol}
