"""A clone with the model `lamp`, a registry over TLS, a MongoDB and a cluster: where the cluster's stories begin."""

import hashlib
import json
import shutil
from pathlib import Path

from story import ROOT, Load, ask
from thin import push_environment

INSTANCE = {"instances": [[0.0] * 64]}
NAMESPACES = ("sacristy-staging", "sacristy-production", "sacristy-trials")


class Shop:
    """The clone, and what it works with. `lamp` is trained, built and pushed by `version`."""

    def __init__(self, clone, rig, server, mongod_url):
        self.clone, self.rig, self.server = clone, rig, server
        registry = f"127.0.0.1:{server.port}"
        rig.trust(registry, server.ca)
        clone.environment |= {
            "SACRISTY_TARGET": "kubernetes",
            "SACRISTY_MONGODB_URL": mongod_url,
            "SACRISTY_REGISTRY": server.url,
            "SACRISTY_REGISTRY_USER": "ci",
            "SACRISTY_REGISTRY_PASSWORD": server.password,
            "SACRISTY_REGISTRY_CA": str(server.ca),
            "SACRISTY_CLUSTER__KUBECONFIG": str(rig.kubeconfig),
            "SACRISTY_CLUSTER__EXPOSE": "NodePort",
        }
        for namespace in NAMESPACES:
            rig.kubectl("create", "namespace", namespace)
        self._add_model("lamp")

    def _add_model(self, name):
        there, digits = self.clone.folder / "models" / name, ROOT / "models" / "digits"
        shutil.copytree(ROOT / "tests" / "lamp", there, ignore=shutil.ignore_patterns("__pycache__"))
        for file in ("data.py", "Pipfile", "Pipfile.lock"):
            shutil.copy(digits / file, there / file)
        self.clone.git("add", "models")
        self.clone.git("commit", "-m", f"model {name}")

    def open(self):
        """Make the secrets and the environments, and push the environment image."""
        self.clone.run("init")
        made = json.loads(self.clone.run("env", "make", "lamp", "--json", timeout=600)[0])
        (packages,) = Path(made["lamp"]).parents[1].glob("lib/python3*/site-packages")
        lock = self.clone.folder / "models" / "lamp" / "Pipfile.lock"
        registry = self.server.registry()
        push_environment(registry, hashlib.sha256(lock.read_bytes()).hexdigest(), packages)
        registry.close()

    def version(self, *config):
        """Train, build, judge and push a version; return its name."""
        self.clone.run("train", "lamp", *(("with", *config) if config else ()))
        built = self.clone.json("build", "lamp")
        name = f"lamp:{built['version']}"
        self.clone.run("test", name)
        self.clone.run("push", name)
        return name

    def promote(self, name, stage="production"):
        self.clone.run("promote", name, stage, "--why", "a story")

    def deploy(self, stage="production", **options):
        return self.clone.run("deploy", "lamp", stage, **options)

    def state(self, stage="production"):
        return self.clone.json("status")["models"]["lamp"][stage]

    def url(self, stage="production"):
        routes = json.loads((self.clone.home / "gateway" / "routes.json").read_text())
        return routes["models"]["lamp"][stage]["url"]

    def answer(self, stage="production"):
        return ask(f"{self.url(stage)}/predict", INSTANCE)

    def load(self, stage="production"):
        return Load(f"{self.url(stage)}/predict", INSTANCE)

    def pods(self, namespace="sacristy-production"):
        return self.rig.get("--namespace", namespace, "pods")["items"]
