"""One cluster, asked and told over its API with manifests as plain data; the official client knows how to log in.

Objects are replaced whole, not patched: what stands in the manifest is what there is afterwards, whoever had edited it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import urlencode

from sacristy.errors import ClusterAway, ClusterRefused, NamespaceMissing, QuotaReached
from sacristy.settings import Cluster as ClusterSettings
from sacristy.targets.kubernetes.drift import carried, difference
from sacristy.targets.kubernetes.workload import Json

TIMEOUT_S = 10.0
PAGE = 500
AGAIN = 3  # attempts when somebody else writes an object at the same moment
PLURALS = {"NetworkPolicy": "networkpolicies"}
OLDER = {"policy/v1": "policy/v1beta1", "autoscaling/v2": "autoscaling/v2beta2"}  # for clusters before 1.21 and 1.23
NO_CLIENT = (AttributeError, KeyError, TypeError, ValueError)  # what the client raises for a kubeconfig that is none


class Answer(NamedTuple):
    """An answer of the API."""

    status: int
    text: str

    @property
    def json(self) -> Json:
        """The object in it."""
        found: Json = json.loads(self.text)
        return found


class Cluster:
    """A cluster's API, as the kubeconfig or the pod's service account opens it."""

    def __init__(self, settings: ClusterSettings) -> None:
        self.settings = settings

    def get(self, kind: str, namespace: str, name: str, version: str = "v1") -> Json | None:
        """Return an object, or None. Raises ClusterAway or ClusterRefused."""
        answer = self._ask("GET", self._path(version, kind, namespace, name), allow=(404,))
        return None if answer.status == 404 else answer.json

    def each(self, kind: str, namespace: str, labels: dict[str, str], version: str = "v1") -> Iterator[Json]:
        """Yield a namespace's objects that have all of these labels; none where there is no such namespace."""
        query = {"labelSelector": ",".join(f"{key}={value}" for key, value in labels.items()), "limit": str(PAGE)}
        while True:
            page = self._ask("GET", self._path(version, kind, namespace), query=query).json
            yield from page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following

    def apply(self, manifest: Json) -> Json:
        """Make an object be what a manifest says, and return it. What is that already is not written.

        Raises NamespaceMissing, QuotaReached, ClusterAway or ClusterRefused.
        """
        wanted = self.adapted(manifest)
        for _ in range(AGAIN):
            about = wanted["metadata"]
            live = self.get(wanted["kind"], about["namespace"], about["name"], wanted["apiVersion"])
            if live is not None and not difference(wanted, live):
                return live
            answer = self._create(wanted) if live is None else self._replace(carried(wanted, live))
            if answer.status != 409:
                return answer.json
        raise ClusterRefused(server=self.server, status=409, reason=f"{about['name']} is being changed by others")

    def create(self, manifest: Json) -> Json:
        """Make an object that is not there yet, and return it. Raises what `apply` raises; ClusterRefused if it is."""
        answer = self._create(self.adapted(manifest))
        if answer.status == 409:
            raise ClusterRefused(server=self.server, status=409, reason=f"{manifest['metadata']['name']} is there")
        return answer.json

    def delete(self, kind: str, namespace: str, name: str, version: str = "v1", grace_s: int | None = None) -> None:
        """Remove an object and what it owns, without waiting for it. None there is no error."""
        path = self._path(self._served(version), kind, namespace, name)
        body: Json = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        body |= {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        self._ask("DELETE", path, body=body, allow=(404,))

    def log_tail(self, namespace: str, pod: str, lines: int, *, previous: bool = False) -> list[str]:
        """Return the last lines of a pod's container; none before it has any."""
        query = {"tailLines": str(lines)} | ({"previous": "true"} if previous else {})
        answer = self._ask("GET", self._path("v1", "Pod", namespace, pod) + "/log", query=query, allow=(400, 404))
        return answer.text.splitlines() if answer.status == 200 else []

    def follow_log(self, namespace: str, pod: str, silence_s: float = 30.0) -> Iterator[str]:
        """Yield what a pod's container prints, line by line from the first, until it ends or is silent for so long.

        Raises ClusterAway or ClusterRefused.
        """
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        path = self._path("v1", "Pod", namespace, pod) + "/log"
        got = self._call("GET", path, {"follow": "true"}, None, (TIMEOUT_S, silence_s))
        if got.status != 200:
            raise refusal(self.server, Answer(got.status, got.read().decode("utf-8", "replace")), path)
        rest = b""
        try:
            for piece in got.response.stream():
                *lines, rest = (rest + piece).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in lines)
        except ReadTimeoutError:
            return  # what is half a line is read again
        except (HTTPError, OSError) as error:
            raise ClusterAway(server=self.server, reason=error) from None
        finally:
            got.response.close()
        if rest:
            yield rest.decode("utf-8", "replace")

    def read_file(self, namespace: str, pod: str, path: str) -> str:
        """Return a file inside of a pod. Raises ClusterRefused where that cannot be had."""
        from kubernetes.client import CoreV1Api
        from kubernetes.client.exceptions import ApiException
        from kubernetes.stream import stream

        program = ["python", "-I", "-S", "-c", f"print(open({path!r}).read())"]
        try:
            opened = CoreV1Api(self._client).connect_get_namespaced_pod_exec
            return str(stream(opened, pod, namespace, command=program, stdout=True, stderr=False))
        except (ApiException, OSError) as error:
            raise ClusterRefused(server=self.server, status=getattr(error, "status", 0), reason=error) from None

    def adapted(self, manifest: Json) -> Json:
        """Return a manifest in the version that this cluster serves of its kind."""
        return manifest | {"apiVersion": self._served(manifest["apiVersion"])}

    @property
    def server(self) -> str:
        """The API's address."""
        return str(self._client.configuration.host)

    @cached_property
    def version(self) -> tuple[int, int]:
        """Its version of Kubernetes, such as (1, 36). Raises ClusterAway or ClusterRefused."""
        said = self._ask("GET", "/version").json
        major, minor = (int("".join(filter(str.isdigit, said[part]))) for part in ("major", "minor"))  # "20+" of some
        return major, minor

    @cached_property
    def _client(self) -> Any:
        """Log in. The client is imported here: it takes a second, which commands that need no cluster save."""
        from kubernetes import client, config

        given = self.settings
        try:
            if given.kubeconfig is None and not given.context:
                try:
                    configuration = client.Configuration()
                    config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
                    return client.ApiClient(configuration)
                except config.ConfigException:
                    pass
            path = str(given.kubeconfig) if given.kubeconfig else None
            return config.new_client_from_config(path, given.context or None)  # type: ignore[no-untyped-call]
        except (config.ConfigException, OSError, *NO_CLIENT) as error:
            raise ClusterAway(server=given.kubeconfig or "the cluster", reason=error) from None

    @cached_property
    def _groups(self) -> frozenset[str]:
        found = self._ask("GET", "/apis").json["groups"]
        return frozenset(version["groupVersion"] for group in found for version in group["versions"])

    def _served(self, version: str) -> str:
        older = OLDER.get(version)
        return older if older and version not in self._groups and older in self._groups else version

    def _create(self, manifest: Json) -> Answer:
        about = manifest["metadata"]
        path = self._path(manifest["apiVersion"], manifest["kind"], about["namespace"])
        return self._ask("POST", path, body=manifest, allow=(409,))

    def _replace(self, manifest: Json) -> Answer:
        about = manifest["metadata"]
        path = self._path(manifest["apiVersion"], manifest["kind"], about["namespace"], about["name"])
        return self._ask("PUT", path, body=manifest, allow=(409,))

    def _path(self, version: str, kind: str, namespace: str, name: str = "") -> str:
        root = "/api/v1" if version == "v1" else f"/apis/{version}"
        plural = PLURALS.get(kind, f"{kind.lower()}s")
        return f"{root}/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, str] | None = None,
        body: Json | None = None,
        allow: tuple[int, ...] = (),
    ) -> Answer:
        from urllib3.exceptions import HTTPError

        got = self._call(method, path, query, body, TIMEOUT_S)
        try:
            answer = Answer(got.status, got.read().decode("utf-8", "replace"))
        except (HTTPError, OSError) as error:
            raise ClusterAway(server=self.server, reason=getattr(error, "reason", None) or error) from None
        if answer.status < 300 or answer.status in allow:
            return answer
        raise refusal(self.server, answer, path)

    def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None,
        body: Json | None,
        timeout_s: float | tuple[float, float],
    ) -> Any:
        """Return the client's answer, whose body is not read yet."""
        from urllib3.exceptions import HTTPError

        api = self._client
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        url = self.server + path + (f"?{urlencode(query)}" if query else "")
        try:
            return api.call_api(method, url, header_params=headers, body=body, _request_timeout=timeout_s)
        except (HTTPError, OSError) as error:
            raise ClusterAway(server=self.server, reason=getattr(error, "reason", None) or error) from None


def refusal(server: str, answer: Answer, path: str) -> ClusterRefused:
    """Return what an answer of the API means to people."""
    try:
        said = str(answer.json["message"])
    except (ValueError, KeyError, TypeError):
        said = answer.text[:160]
    if answer.status == 404 and said.startswith("namespaces "):
        return NamespaceMissing(
            server=server, status=404, reason=said, namespace=path.split("/namespaces/")[1].split("/")[0]
        )
    if answer.status == 403 and "exceeded quota" in said:
        return QuotaReached(server=server, status=403, reason=said)
    return ClusterRefused(server=server, status=answer.status, reason=said)
