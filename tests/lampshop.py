"""A clone with the model `lamp`, a registry over TLS, a MongoDB and a cluster: where the cluster's stories begin."""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path

import yaml
from lamps import add_lamp
from nodeport import NodePortLoad
from story import ROOT, ask
from thin import push_environment

from sacristy.settings import Role

INSTANCE = {"instances": [[0.0] * 64]}
DEPLOYED = ROOT / "deploy" / "kubernetes" / "base"


class Shop:
    """The clone, and what it works with. `lamp` is trained, built and pushed by `version`."""

    def __init__(self, clone, rig, server, mongod):
        self.clone, self.rig, self.server = clone, rig, server
        self.database = mongod.database(Role.ADMIN)
        registry = f"127.0.0.1:{server.port}"
        rig.trust(registry, server.ca)
        clone.environment |= {
            "SACRISTY_TARGET": "kubernetes",
            "SACRISTY_MONGODB_URL": mongod.url(Role.ADMIN),
            "SACRISTY_REGISTRY": server.url,
            "SACRISTY_REGISTRY_USER": "ci",
            "SACRISTY_REGISTRY_PASSWORD": server.password,
            "SACRISTY_REGISTRY_CA": str(server.ca),
            "SACRISTY_CLUSTER__EXPOSE": "NodePort",
        }
        clone.environment["SACRISTY_CLUSTER__KUBECONFIG"] = str(as_operator(rig))
        add_lamp(clone)

    def open(self):
        """Make the secrets and the environments, and push the environment image."""
        self.clone.run("init")
        made = json.loads(self.clone.run("env", "make", "lamp", "--json", timeout=600)[0])
        (packages,) = Path(made["lamp"]).parents[1].glob("lib/python3*/site-packages")
        lock = self.clone.folder / "models" / "lamp" / "Pipfile.lock"
        registry = self.server.registry()
        push_environment(registry, hashlib.sha256(lock.read_bytes()).hexdigest(), packages)
        registry.close()

    @cached_property
    def versions(self):
        """Two good versions, by name. They are judged at the same time, as pods."""
        names = [self.made(f"sharpness={sharpness}") for sharpness in (1.0, 1.5)]
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.judged, names))
        return names

    def made(self, *config):
        """Train and build a version; return its name."""
        self.clone.run("train", "lamp", *(("with", *config) if config else ()))
        return f"lamp:{self.clone.json('build', 'lamp')['version']}"

    def judged(self, name):
        """Let a version pass its acceptance test on the cluster, and push it."""
        self.clone.run("test", name, "--against", "staging")
        self.clone.run("push", name)
        return name

    def bring(self, name, stage="production"):
        """Promote a version and deploy it, unless the stage has it already."""
        if self.clone.json("status")["models"].get("lamp", {}).get(stage, {}).get("version") != number(name):
            self.promote(name, stage)
        self.deploy(stage)

    def toml(self, *changes):
        """Change lines of the model's model.toml: (before, after) each."""
        path = self.clone.folder / "models" / "lamp" / "model.toml"
        text = path.read_text()
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path.write_text(text)

    def promote(self, name, stage="production"):
        self.clone.run("promote", name, stage, "--why", "a story")

    def deploy(self, stage="production", **options):
        return self.clone.run("deploy", "lamp", stage, **options)

    def operated(self, stage="production"):
        """Let the operator look once; return (task, result) of what it did for a stage."""
        done = self.clone.json("operator", "run", "--once")
        return [(each["task"], each["result"]) for each in done if each["stage"] == stage]

    def state(self, stage="production"):
        return self.clone.json("status")["models"]["lamp"][stage]

    def url(self, stage="production"):
        routes = json.loads((self.clone.home / "gateway" / "routes.json").read_text())
        return routes["models"]["lamp"][stage]["url"]

    def answer(self, stage="production"):
        return ask(f"{self.url(stage)}/predict", INSTANCE)

    def load(self, stage="production"):
        return NodePortLoad(f"{self.url(stage)}/predict", INSTANCE)

    def pods(self, namespace="sacristy-production"):
        return self.rig.get("--namespace", namespace, "pods")["items"]

    def staying(self, namespace="sacristy-production"):
        """Return the pods that are not about to end."""
        return [pod for pod in self.pods(namespace) if "deletionTimestamp" not in pod["metadata"]]

    def deployed(self, name, state="live", stage="production"):
        """Return the records of a version's deployments."""
        return list(self.database.deployments.find({"version": number(name), "state": state, "stage": stage}))


def as_operator(rig):
    """Make the namespaces and roles of deploy/kubernetes; return a kubeconfig with the operator's rights alone."""
    account = next(yaml.safe_load_all((DEPLOYED / "operator.yaml").read_text()))
    for text in (
        (DEPLOYED / "namespaces.yaml").read_text(),
        yaml.safe_dump(account),
        (DEPLOYED / "roles.yaml").read_text(),
    ):
        rig.kubectl("apply", "--filename", "-", text_in=text)
    token = rig.token("sacristy", "sacristy-operator")
    config = yaml.safe_load(rig.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = rig.folder / "operator.conf"
    path.write_text(yaml.safe_dump(config))
    return path


def number(name):
    """Return the version in an image's name."""
    return name.partition(":")[2]
