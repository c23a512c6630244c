"""A real Kubernetes of the tests' own: the rig of ../shared/tools/kubernetes, or the cluster that KUBECONFIG names."""

import base64
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import leftovers

ROOT = Path(__file__).parents[1]
PROGRAMS = ("containerd", "runc", "iptables", "ip", "openssl", "zstd", "kubectl", "docker-registry", "htpasswd")
NODE = "10.250.0.1"  # this machine, as pods see it
STARTING_S = 240  # the first start unpacks the binaries
PREFIX = "sacristy-rig"  # of the folder that a rig's folder lies in
OWNER = Path("/sys/class/net/k8s0/ifalias")  # up.sh writes there which folder's rig is up


def place():
    """Return the rig's folder, or None."""
    named = os.environ.get("SACRISTY_KUBERNETES_RIG")
    folder = Path(named) if named else ROOT.parent / "shared" / "tools" / "kubernetes"
    return folder if (folder / "up.sh").is_file() else None


def missing():
    """Return why there can be no cluster here, or an empty string."""
    if place() is None:
        return "there is no rig (SACRISTY_KUBERNETES_RIG) beside this repository"
    if os.geteuid() != 0:
        return "a cluster of the tests' own needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(absent)}" if absent else ""


class Rig:
    """Two nodes, one of them a tainted pool that offers one nvidia.com/gpu to the scheduler."""

    def __init__(self, folder):
        self.folder = folder
        self._clear()
        try:
            self._run(place() / "up.sh", folder, "--nodes", "2", "--metrics", timeout=STARTING_S)
        except BaseException:
            self.close()
            raise
        self.kubeconfig = folder / "admin.conf"

    def trust(self, registry, certificate):
        """Let every node trust a registry's certificate. It is read at each pull."""
        for node in ("lab", "lab2"):
            there = self.folder / node / "certs.d" / registry
            there.mkdir(parents=True, exist_ok=True)
            shutil.copy(certificate, there / "ca.crt")
            (there / "hosts.toml").write_text(
                f'server = "https://{registry}"\n[host."https://{registry}"]\n  ca = "ca.crt"\n'
            )

    def kubectl(self, *words, check=True, text_in=None):
        return self._run("kubectl", "--kubeconfig", self.kubeconfig, *words, check=check, text_in=text_in)

    def get(self, *words):
        """Return what `kubectl get` finds, as data."""
        return json.loads(self.kubectl("get", *words, "--output", "json"))

    def token(self, namespace, account, seconds=20):
        """Return a service account's token, which the cluster makes a moment after the account."""
        deadline = time.monotonic() + seconds
        while True:
            for secret in self.get("--namespace", namespace, "secrets")["items"]:
                if secret["metadata"].get("annotations", {}).get("kubernetes.io/service-account.name") == account:
                    return base64.b64decode(secret["data"]["token"]).decode()
            assert time.monotonic() < deadline, "no token"
            time.sleep(0.2)

    def lose(self, node):
        """Let a node be lost: its kubelet says nothing any more, and its containers are dead."""
        os.kill(self._kubelet(node), signal.SIGSTOP)
        for file in (_processes() / "k8srig" / node).rglob("cgroup.procs"):
            for pid in map(int, file.read_text().split()):
                os.kill(pid, signal.SIGKILL)

    def find(self, node, seconds=60):
        """Let a lost node's kubelet go on, and wait until the node is ready."""
        os.kill(self._kubelet(node), signal.SIGCONT)
        self.kubectl("wait", "--for=condition=Ready", f"node/{node}", f"--timeout={seconds}s")

    def _kubelet(self, node):
        return int((self.folder / "pid" / f"kubelet-{node}").read_text().split()[0])

    def close(self):
        self._run(place() / "down.sh", self.folder, timeout=120, check=False)

    def _clear(self):
        """Take down the rig of tests that were killed: the next one would be refused for it."""
        owner = OWNER.read_text().strip() if OWNER.exists() else ""
        if owner and leftovers.is_abandoned(owner, PREFIX):
            self._run(place() / "down.sh", owner, timeout=120)

    def _run(self, *argv, timeout=120, check=True, text_in=None):
        done = subprocess.run(
            list(map(str, argv)), capture_output=True, text=True, timeout=timeout, check=False, input=text_in
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout


def _processes():
    """Return where the kernel groups processes."""
    mounts = (line.split() for line in Path("/proc/mounts").read_text().splitlines())
    return next(Path(words[1]) for words in mounts if words[2] == "cgroup" and "pids" in words[3].split(","))
