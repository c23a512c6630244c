"""The routes in a ConfigMap: gateways on the cluster mount it, and the next operator begins with it."""

from __future__ import annotations

import json
from pathlib import Path

from sacristy.targets.kubernetes.cluster import Cluster
from sacristy.targets.kubernetes.workload import OURS, Json

KEY = "routes.json"


class Publisher:
    """Keeps a ConfigMap equal to this machine's table of routes."""

    def __init__(self, cluster: Cluster, place: str, routes_file: Path) -> None:
        self.cluster, self.file = cluster, routes_file
        self.namespace, _, self.name = place.partition("/")
        self._published = ""

    def begin(self) -> None:
        """Take over what an operator before published; a table that is here already may be an older one.

        Unless that is what was published from here: then nobody else acted since, and the table here is the newer one.
        Raises ClusterAway or ClusterRefused.
        """
        found = self.cluster.get("ConfigMap", self.namespace, self.name)
        text = (found or {}).get("data", {}).get(KEY, "")
        if text and text != self._published:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            new = self.file.with_name(f"{self.file.name}.taken")
            new.write_text(text)
            new.replace(self.file)
        self._published = text

    def publish(self) -> None:
        """Publish the table, if it is another one than last time. Raises ClusterAway or ClusterRefused."""
        text = self.file.read_text() if self.file.is_file() else json.dumps({"models": {}})
        if text != self._published:
            self.cluster.apply(routes_map(self.namespace, self.name, text))
            self._published = text


def routes_map(namespace: str, name: str, text: str) -> Json:
    """Return the ConfigMap."""
    about = {"name": name, "namespace": namespace, "labels": dict(OURS)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about, "data": {KEY: text}}
