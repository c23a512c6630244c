"""What the operator may ask of the engine: model containers, made in one way only."""

import copy
from urllib.parse import quote

import pytest

from sacristy.model_file import Resources
from sacristy.stack.composed.container_rules import is_models, kind_of, refusal_of_container
from sacristy.targets.containers import HOME_LABEL

NAME = "digits-production-1a.0123abcd"
MODELS = quote('{"label":{"' + HOME_LABEL + '=h0":true}}')  # as the client asks for them
# what Debian's docker client sends for containers.run_command with a joined network
ASKED = {
    "User": "65532:65532",
    "Image": "sha256:ab",
    "Env": ["SACRISTY_DIGEST=sha256:ab"],
    "Labels": {HOME_LABEL: "h0"},
    "Volumes": {},
    "HostConfig": {
        "Binds": None,
        "NetworkMode": "models",
        "PortBindings": {},
        "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
        "CapAdd": None,
        "CapDrop": ["ALL"],
        "Privileged": False,
        "ReadonlyRootfs": True,
        "SecurityOpt": ["no-new-privileges"],
        "Tmpfs": {"/tmp": "rw,noexec"},
        "Memory": 1 << 30,
        "MemorySwap": 1 << 30,
        "MemorySwappiness": -1,
        "NanoCpus": 10**9,
        "PidsLimit": 512,
        "ShmSize": 1 << 28,
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "10m"}},
        "ConsoleSize": [0, 0],
    },
    "NetworkingConfig": {"EndpointsConfig": {}},
}
assert Resources()  # the limits above are never absent


def test_a_models_container_may_be_made():
    assert refusal_of_container(ASKED, "models") == ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Privileged", True),
        ("Binds", ["/:/host"]),
        ("Mounts", [{"Type": "bind", "Source": "/", "Target": "/host"}]),
        ("VolumesFrom", ["sacristy_mongodb_1"]),
        ("CapAdd", ["SYS_ADMIN"]),
        ("CapDrop", []),
        ("SecurityOpt", ["no-new-privileges", "seccomp=unconfined"]),
        ("SecurityOpt", []),
        ("PidMode", "host"),
        ("IpcMode", "host"),
        ("UTSMode", "host"),
        ("UsernsMode", "host"),
        ("NetworkMode", "host"),
        ("NetworkMode", "container:sacristy_mongodb_1"),
        ("Devices", [{"PathOnHost": "/dev/vda"}]),
        ("DeviceRequests", [{"Count": -1}]),
        ("PortBindings", {"8080/tcp": [{"HostPort": "1"}]}),
        ("PublishAllPorts", True),
        ("Runtime", "other"),
        ("CgroupParent", "/"),
        ("Sysctls", {"kernel.x": "1"}),
        ("ExtraHosts", ["registry:1.2.3.4"]),
        ("ReadonlyRootfs", False),
        ("Memory", 0),
        ("PidsLimit", -1),
        ("Tmpfs", {"/etc": ""}),
        ("MaskedPaths", ["/proc/x"]),
        ("LogConfig", {"Type": "syslog", "Config": {"syslog-address": "tcp://elsewhere:514"}}),
        ("LogConfig", {"Type": "json-file", "type": "syslog"}),
        ("NotYetInvented", 1),
    ],
)
def test_one_with_anything_more_may_not(field, value):
    asked = copy.deepcopy(ASKED)
    asked["HostConfig"][field] = value
    assert refusal_of_container(asked, "models") != ""


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("User", "0"),
        ("User", ""),
        ("Labels", {}),
        ("Entrypoint", ["sh"]),
        ("Cmd", ["sh"]),
        ("Volumes", {"/x": {}}),
        ("NetworkingConfig", {"EndpointsConfig": {"services": {}}}),
        ("HostConfig", None),
    ],
)
def test_nor_one_of_another_user_command_or_network(field, value):
    assert refusal_of_container(ASKED | {field: value}, "models") != ""


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("", "user", ""),
        ("", "u\N{LATIN SMALL LETTER LONG S}er", ""),
        ("", "hostConfig", None),
        ("HostConfig", "networkmode", ""),
        ("HostConfig", "readonlyRootfs", False),
        ("HostConfig", "capDrop", []),
        ("HostConfig", "securityopt", []),
        ("HostConfig", "pidslimit", 0),
        ("NetworkingConfig", "endpointsConfig", {"services": {}}),
    ],
)
def test_nor_one_that_the_engine_reads_otherwise_since_it_does_not_mind_case(part, field, value):
    asked = copy.deepcopy(ASKED)
    (asked[part] if part else asked)[field] = value
    assert "in a way of its own" in refusal_of_container(asked, "models")


@pytest.mark.parametrize(
    ("method", "target", "kind"),
    [
        ("HEAD", "/_ping", "plain"),
        ("GET", "/v1.41/images/json?all=1", "plain"),
        ("GET", "/v1.41/images/sha256:ab/json", "plain"),
        ("POST", "/v1.41/images/load?quiet=1", "load"),
        ("POST", "/v1.41/images/load", "load"),
        ("POST", "/v1.41/images/load?quiet=1&fromSrc=-", ""),
        ("PUT", "/v1.41/images/load", ""),
        ("GET", f"/v1.41/containers/json?all=1&filters={MODELS}", "plain"),
        ("GET", "/v1.41/containers/json?all=1", ""),
        ("GET", "/v1.41/containers/json?all=1&filters={}", ""),
        ("GET", "/v1.41/containers/json?filters=%7B%22label%22%3A5%7D", ""),
        ("GET", f"/v1.41/containers/json?filters={{}}&filters={MODELS}", ""),
        ("GET", f"/v1.41/containers/json?filters=&filters={MODELS}", ""),
        ("GET", "/v1.41/containers/json?filters=" + quote('{"label": {"other=x": true}}'), ""),
        ("POST", f"/v1.41/containers/create?name={NAME}", "create"),
        ("POST", f"/v1.41/containers/{NAME}/start", "container"),
        ("DELETE", f"/v1.41/containers/{NAME}?force=1&v=1", "container"),
        ("POST", f"/v1.41/containers/{NAME}/exec", ""),
        ("GET", f"/v1.41/containers/{NAME}/archive?path=/", ""),
        ("POST", f"/v1.41/containers/{NAME}/update", ""),
        ("POST", "/v1.41/build", ""),
        ("POST", "/v1.41/images/create?fromImage=x", ""),
        ("POST", "/v1.41/images/create?fromSrc=-&repo=sacristy/stack&tag=0.1.0", ""),
        ("POST", "/v1.41/images/sha256:ab/tag?repo=sacristy/stack&tag=0.1.0", ""),
        ("POST", "/v1.41/images/x/push", ""),
        ("POST", "/v1.41/commit?container=x&repo=sacristy/stack", ""),
        ("POST", "/v1.41/session", ""),
        ("POST", "/grpc", ""),
        ("POST", f"/v1.41/containers/{NAME}/rename?name=x", ""),
        ("DELETE", "/v1.41/images/x", ""),
        ("DELETE", "/v1.41/images/sacristy/models/lamp:3-0123456789ab", "plain"),
        ("DELETE", "/v1.41/images/sacristy/models/lamp:3-0123456789ab?force=1", ""),
        ("DELETE", "/v1.41/images/sacristy/models/lamp%3a3-0123456789ab", ""),
        ("DELETE", "/v1.41/images/sacristy/stack:0.1.0", ""),
        ("DELETE", "/v1.41/images/sha256:ab", ""),
        ("GET", "/v1.41/volumes", ""),
        ("POST", "/v1.41/networks/create", ""),
        ("POST", "/v1.41/networks/services/connect", ""),
        ("GET", "/v1.41/secrets", ""),
        ("GET", "/v1.41/info", ""),
        ("POST", "/v1.41/containers/x/../../volumes/create", ""),
        ("POST", "/v1.41//containers/create", ""),
        ("POST", "/containers/create/x", ""),
        ("PUT", "/containers/create", ""),
    ],
)
def test_each_request_is_known_or_refused(method, target, kind):
    assert kind_of(method, target)[0] == kind


def test_only_a_models_container_is_started_stopped_or_looked_at():
    assert is_models({"Name": f"/{NAME}", "Config": {"Labels": {HOME_LABEL: "h0"}}})
    assert not is_models({"Name": "/sacristy_mongodb_1", "Config": {"Labels": {}}})
    assert not is_models({"Name": "/sacristy_mongodb_1", "Config": {"Labels": {HOME_LABEL: "h0"}}})
    assert not is_models({"Name": f"/{NAME}", "Config": {"Labels": None}})
