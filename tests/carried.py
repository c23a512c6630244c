"""Sites without a network: what is there came in a bundle, by the steps of docs/how-to/air-gapped.md."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from composed import MODEL, Composed, Entered

KEPT = ("PATH", "LANG")  # of the environment: no cache, no setting and no address of where there is a network
DATA = "digits"  # a model whose data lies in the stack's store
HOST_PACKAGES = ("docker.io", "docker-compose", "git", "python3-venv")  # as the how-to names them


def bare_environment(home: Path) -> dict[str, str]:
    """Return the environment of somebody who has nothing from elsewhere."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    return kept | {"HOME": str(home), "PIP_CONFIG_FILE": os.devnull, "PIP_NO_CACHE_DIR": "1"}


def set_up(run, bundle: Path, project: Path) -> None:
    """Make a checkout and its environment from a bundle; `run` runs a program on the site."""
    run("git", "clone", "--quiet", bundle / "project.bundle", project)
    run(sys.executable, "-m", "venv", project / ".venv")
    pip = (project / ".venv" / "bin" / "python", "-m", "pip", "install", "--no-index", "--quiet")
    for name in ("pip", "stack"):
        lines = ("--require-hashes", "--no-deps", "--requirement", bundle / "requirements" / f"{name}.txt")
        run(*pip, "--find-links", bundle / "wheels", *lines)
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", project)


def bundled(folder: Path) -> dict:
    """Bring a composed stack up where there is a network; return what `bundle make` said of all that is in it."""
    here = Composed(folder / "here")
    try:
        here.site.run("up", "--compose", timeout=1700)
        debian = [word for name in HOST_PACKAGES for word in ("--debian", name)]
        words = ("bundle", "make", str(folder / "bundle"), "--model", MODEL, "--model", DATA, *debian)
        return here.site.json(*words, timeout=1700)
    finally:
        here.close()


class Carried(Composed):
    """A composed stack where nobody is reached, of a bundle of one that was built elsewhere."""

    cut = True

    def _make(self, folder: Path) -> None:
        (folder / "here").mkdir()
        self.folder = folder / "there"
        self.folder.mkdir()
        self.bundle = bundled(folder)
        self.where = Path(self.bundle["folder"])
        super()._make(self.folder)

    def run(self, *argv: object) -> str:
        """Run a program on the host, which must end well; return what it printed."""
        environment = bare_environment(self.folder) | self.engine.environment
        words = [*self.host.enter, *map(str, argv)]
        done = subprocess.run(words, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def load(self, checkout: Entered, *words: str) -> dict:
        """Load the bundle in a checkout; return what that says."""
        given = (str(self.where), "--digest", self.bundle["manifest"])
        return checkout.json("bundle", "load", *given, *words, timeout=900)

    def _site(self, folder: Path) -> Entered:
        made = self._checkout_of_bundle(folder)
        self.loaded = self.load(made)
        return made

    def _checkout(self, folder: Path) -> Entered:
        made = self._checkout_of_bundle(folder)
        self.load(made, "--no-images")
        return made

    def _checkout_of_bundle(self, folder: Path) -> Entered:
        set_up(self.run, self.where, folder)
        made = Entered(folder, folder / ".sacristy")
        made.within, made.program = self.host.enter, folder / ".venv" / "bin" / "sacristy"
        made.environment = bare_environment(self.folder) | self.engine.environment
        return made
