"""A plain Debian host with systemd, as a container with all rights: what deploy/ansible makes a stack of.

It is given what any host has of its site: package sources, certificates, and a base for images (no public registry is
at hand where the tests run, so the base lies in the host's engine before the play begins).
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from engine import BASE, KEPT, Engine, mirror

HOST_IMAGE = "sacristy-plain-host"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
DOCKERFILE = f"""
FROM {BASE}
COPY sources.list /etc/apt/sources.list
RUN apt-get update -qq \\
 && apt-get install -qq --no-install-recommends systemd-sysv dbus kmod iproute2 python3-venv python3-apt git sudo
"""
BOOT = (
    "for at in /sys /sys/fs/cgroup /sys/fs/cgroup/*; do mount -o remount,bind,rw $at 2>/dev/null; done; exec /sbin/init"
)
# As --privileged, but for a right that these machines do not have themselves.
RIGHTS = (
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private"),
    *(word for what in ("seccomp", "apparmor", "systempaths") for word in ("--security-opt", f"{what}=unconfined")),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock"),
)


class PlainHost:
    """The host, up. `run` runs a command on it as root; `checkout` is served to it by git."""

    def __init__(self, engine: Engine, folder: Path, repository: Path) -> None:
        self.engine = engine
        context = folder / "context"
        context.mkdir()
        (context / "Dockerfile").write_text(DOCKERFILE)
        (context / "sources.list").write_text(f"deb {mirror()} bookworm main\n")
        engine.docker("build", "--quiet", "--network", "host", "--tag", HOST_IMAGE, str(context))
        wheels = [folder for folder in os.environ.get("PIP_FIND_LINKS", "").split() if Path(folder).is_dir()]
        given = {str(repository): "/repository"} | {folder: folder for folder in (*wheels, CERTIFICATES)}
        mounts = [word for here, there in given.items() for word in ("--volume", f"{here}:{there}:ro")]
        volume = ("--volume", "/var/lib/docker")  # an engine's own file system cannot lie on an engine's
        argv = (*RIGHTS, *mounts, *volume, HOST_IMAGE, "sh", "-c", BOOT)
        self.name = engine.docker("run", "--detach", *argv).strip()
        self.until(lambda: self.says("systemctl", "is-system-running") in ("running", "degraded"), 60)
        lines = [f"{key}={value}" for key, value in site_variables().items()]
        self.write("/etc/environment", "\n".join(lines) + "\n")  # for who logs in
        self.run("mkdir", "--parents", "/etc/systemd/system.conf.d")
        words = " ".join(f'"{line}"' for line in lines)
        self.write("/etc/systemd/system.conf.d/site.conf", f"[Manager]\nDefaultEnvironment={words}\n")
        self.run("systemctl", "daemon-reexec")

    def run(self, *words: str, code: int | None = 0, timeout: float = 300, **said: str) -> str:
        """Run a command, and return what it prints."""
        variables = [word for key, value in (site_variables() | said).items() for word in ("--env", f"{key}={value}")]
        argv = ["docker", "exec", *variables, self.name, *words]
        together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "check": False}
        done = subprocess.run(argv, env=os.environ | self.engine.environment, timeout=timeout, **together)
        assert code is None or done.returncode == code, f"{words}: {done.returncode}\n{done.stdout[-6000:]}"
        return str(done.stdout)

    def says(self, *words: str) -> str:
        """Return what a command prints, however it ends."""
        return self.run(*words, code=None).strip()

    def write(self, path: str, text: str) -> None:
        """Write a file."""
        argv = ["docker", "exec", "--interactive", self.name, "tee", path]
        subprocess.run(
            argv, input=text, env=os.environ | self.engine.environment, text=True, check=True, capture_output=True
        )

    def load_base(self) -> None:
        """Put the base of images into the host's own engine."""
        self.engine.docker("cp", str(KEPT), f"{self.name}:/base.tar")
        self.run("docker", "import", "/base.tar", BASE)
        self.run("rm", "/base.tar")

    def until(self, condition, within_s: float) -> None:
        """Wait until something holds."""
        deadline = time.monotonic() + within_s
        while not condition():
            assert time.monotonic() < deadline, self.says("systemctl", "--failed")
            time.sleep(0.5)

    def close(self) -> None:
        """End it, with what ran on it."""
        with suppress(AssertionError, subprocess.TimeoutExpired):
            self.engine.docker("rm", "--force", "--volumes", self.name)


def site_variables() -> dict[str, str]:
    """Return what says on this machine where packages come from."""
    wanted: Sequence[str] = ("PIP_", "NPM_", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE")
    return {key: value for key, value in os.environ.items() if key.startswith(tuple(wanted))}
