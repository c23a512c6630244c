"""A Docker engine of the tests' own: its data, its socket and its networks in a temporary folder, ended by its pid."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from filelock import FileLock

PROGRAMS = ("docker", "dockerd", "debootstrap", "iptables")
BASE = "sacristy-base:bookworm"  # what the environment images of the tests are built on
KEPT = Path(__file__).parents[1] / ".tools" / "debian-base.tar"  # `make clean` takes it away
KEPT_S = 12 * 3600.0
BRIDGE = "172.29.251.1"  # this machine, as containers with a way out see it


def mirror() -> str:
    """Return where this machine takes its own packages from."""
    apt = Path("/etc/apt")
    texts = [path.read_text() for path in (apt / "sources.list", *apt.glob("sources.list.d/*")) if path.is_file()]
    return re.findall(r"https?://\S+/debian/?(?=\s)", "\n".join(texts) + "\n")[0]


def missing() -> str:
    """Return why there can be no engine here, or an empty string."""
    if os.geteuid() != 0:
        return "a Docker engine of the tests' own needs root"
    absent = [program for program in PROGRAMS if not shutil.which(program)]
    return f"not installed: {', '.join(absent)} (apt-get install docker.io debootstrap iptables)" if absent else ""


class Engine:
    """dockerd. `docker` runs the client against it; `environment` makes others do so.

    `within`: words before the command, such as those that enter a network namespace.
    """

    def __init__(self, folder: Path, within: tuple[str, ...] = ()) -> None:
        self.folder, self.within = folder, within
        folder.mkdir(exist_ok=True)
        self.host = f"unix://{folder}/docker.sock"
        self.environment = {"DOCKER_HOST": self.host}
        places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"]
        # where the tests are killed it ends with its containers, so that the next engine finds its network free
        argv = ["setpriv", "--pdeathsig", "TERM", *within, "dockerd", *map(str, places)]
        argv += ["--host", self.host, "--bip", f"{BRIDGE}/24"]
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + 30
        while "Server Version" not in self.docker("info", check=False):
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise RuntimeError((folder / "log").read_text()[-2000:])
            time.sleep(0.2)

    def docker(self, *words: str, check: bool = True, **options) -> str:
        argv = ["docker", *map(str, words)]
        done = subprocess.run(
            argv, env=os.environ | self.environment, capture_output=True, text=True, check=False, **options
        )
        assert not check or done.returncode == 0, done.stderr
        return done.stdout

    def logs(self, name: str) -> str:
        """Return all that a container printed, on both of its outputs."""
        argv, environment = ["docker", "logs", name], os.environ | self.environment
        together = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.run(argv, env=environment, check=True, **together).stdout

    def make_base(self, made: Path | None = None) -> None:
        """Make the base that a registry would give elsewhere: Debian's own, with Python and CA certificates.

        `made`: a folder with one that debootstrap made before. Else it is made once for all tiers of a day's tests.
        """
        if made:
            with subprocess.Popen(["tar", "-C", str(made), "-c", "."], stdout=subprocess.PIPE) as tar:
                self.docker("import", "-", BASE, stdin=tar.stdout)
            return
        with kept_base().open("rb") as archive:
            self.docker("import", "-", BASE, stdin=archive)

    def close(self) -> None:
        """End all containers and the engine, and remove what it wrote."""
        for name in self.docker("ps", "--all", "--quiet", check=False).split():
            self.docker("rm", "--force", name, check=False)
        for name in self.docker("network", "ls", "--quiet", "--filter", "type=custom", check=False).split():
            self.docker("network", "rm", name, check=False)
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        subprocess.run([*self.within, "ip", "link", "delete", "docker0"], check=False, capture_output=True)
        for mounted in sorted(mounts_below(self.folder), reverse=True):
            subprocess.run(["umount", "--lazy", mounted], check=False, capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)


def kept_base() -> Path:
    """Return the archive of the base; made anew if there is none of the last hours."""
    KEPT.parent.mkdir(exist_ok=True)
    with FileLock(KEPT.with_suffix(".lock")):
        if KEPT.is_file() and time.time() - KEPT.stat().st_mtime < KEPT_S:
            return KEPT
        with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
            root, archive = Path(folder) / "root", Path(folder) / "base.tar"
            wanted = ["--variant=minbase", "--include=python3,ca-certificates"]
            subprocess.run(["debootstrap", *wanted, "bookworm", str(root), mirror()], check=True, capture_output=True)
            # as in Debian's published images: no package is written to the disk three times, and no archive is kept
            (root / "etc/dpkg/dpkg.cfg.d/docker-apt-speedup").write_text("force-unsafe-io\n")
            shutil.rmtree(root / "var/cache/apt/archives")
            subprocess.run(["tar", "-C", str(root), "-cf", str(archive), "."], check=True)
            archive.rename(KEPT)
    return KEPT


def mounts_below(folder: Path) -> list[str]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [place for place in (line.split()[1] for line in lines) if place.startswith(f"{folder}/")]
