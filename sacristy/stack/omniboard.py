"""Omniboard without the 530 MB of its full install: the published server and page, and only what they need to run."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from sacristy.commands import run
from sacristy.errors import DownloadCorrupt, PackageNotBrought, ProgramMissing
from sacristy.packages import npm_folder
from sacristy.settings import Settings
from sacristy.turns import turn

NODE_MEND = "install Node.js 18 or later with npm (Debian: apt-get install nodejs npm), then: sacristy up"
KEPT = ("package/dist/", "package/web/build/", "package/LICENSE")
COLUMNS = "columns.js"
OURS = ("package.json", "package-lock.json", "serve.js", "databases.js", COLUMNS)
NPM_CI = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
INSTALL_WITHIN_S = 600


def find_node() -> Path:
    """Return node. Raises ProgramMissing where it or npm is absent."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise ProgramMissing(program=program, mend=NODE_MEND)
    return Path(str(shutil.which("node")))


def sources(settings: Settings) -> Path:
    """Return the folder with our package.json, its lock and the guard."""
    return settings.project / "compose" / "omniboard"


def install_folder(settings: Settings) -> Path:
    """Return where this very Omniboard belongs: a change of version, lock or guard gives another folder."""
    total = hashlib.sha256()
    for name in OURS:
        total.update((sources(settings) / name).read_bytes())
    return settings.home / "omniboard" / total.hexdigest()[:16]


def is_installed(settings: Settings) -> bool:
    """Say whether Omniboard is there, whole."""
    return install_folder(settings).is_dir()


def install(settings: Settings) -> Path:
    """Return the folder of the installed Omniboard; the first time takes 10 s and more.

    Raises ProgramMissing, CommandFailed (npm's last line) or DownloadCorrupt; then nothing is left behind.
    """
    folder = install_folder(settings)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with turn(folder.parent / "install.lock", "the installation of Omniboard"):
        if folder.is_dir():
            return folder
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".new-") as temporary:
            new = Path(temporary) / "omniboard"
            new.mkdir()
            _fill(new, sources(settings), npm_folder(settings))
            new.rename(folder)
    for old in folder.parent.iterdir():
        if old.is_dir() and old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def integrity(file: Path) -> str:
    """Return a file's hash as npm writes it: `sha512-` and base64."""
    with open(file, "rb") as stream:
        return "sha512-" + base64.b64encode(hashlib.file_digest(stream, "sha512").digest()).decode()


def _fill(new: Path, ours: Path, brought: Path | None) -> None:
    for name in OURS:
        shutil.copyfile(ours / name, new / name)
    wanted = json.loads((ours / "package.json").read_text())["config"]
    npm = str(shutil.which("npm"))
    environment = os.environ | {"npm_config_update_notifier": "false"}
    package = f"omniboard@{wanted['omniboard']}"
    tarball = new / f"omniboard-{wanted['omniboard']}.tgz"
    if brought:
        _take_brought(new, brought, tarball)
    else:
        run([npm, "pack", package, "--silent"], folder=new, environment=environment, timeout_s=INSTALL_WITHIN_S)
    found = integrity(tarball)
    if found != wanted["integrity"]:
        raise DownloadCorrupt(name=package, expected=wanted["integrity"], found=found)
    _unpack(tarball, new)
    tarball.unlink()
    _arrange_columns(new)
    argv = [npm, *NPM_CI, *(["--offline"] if brought else [])]
    run(argv, folder=new, environment=environment, timeout_s=INSTALL_WITHIN_S)


def locked_packages(lock: Path) -> dict[str, tuple[str, str]]:
    """Return (package@version, integrity) of what a package-lock.json installs, by its place in it."""
    entries = json.loads(lock.read_text())["packages"].items()
    return {
        place: (f"{place.rpartition('node_modules/')[2]}@{entry['version']}", entry["integrity"])
        for place, entry in entries
        if place and not entry.get("dev")
    }


def tarball_name(package: str) -> str:
    """Return the file name that `npm pack` gives to package@version."""
    name, _, version = package.rpartition("@")
    return f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"


def _take_brought(new: Path, brought: Path, tarball: Path) -> None:
    """Take Omniboard from the packages that were brought, and have the lock name the files of all others there."""
    if not (brought / tarball.name).is_file():
        raise PackageNotBrought(name=tarball.name, folder=brought)
    shutil.copyfile(brought / tarball.name, tarball)
    lock = json.loads((new / "package-lock.json").read_text())
    for place, (package, _) in locked_packages(new / "package-lock.json").items():
        file = brought / tarball_name(package)
        if not file.is_file():
            raise PackageNotBrought(name=file.name, folder=brought)
        lock["packages"][place]["resolved"] = f"file:{file.resolve()}"
    (new / "package-lock.json").write_text(json.dumps(lock))


def _arrange_columns(new: Path) -> None:
    """Have the page load our order of columns before its own script, which reads it."""
    page = new / "web" / "build" / "index.html"
    shutil.move(new / COLUMNS, page.parent / COLUMNS)
    page.write_text(page.read_text().replace("<script ", f'<script src="/{COLUMNS}"></script><script ', 1))


def _unpack(tarball: Path, folder: Path) -> None:
    """Unpack the files of the server and the built page, without source maps (32 of 37 MB). Their hash is checked."""
    with tarfile.open(tarball) as archive:
        for member in archive:
            source = archive.extractfile(member) if member.isfile() else None  # Debian 12's tarfile has no filters
            if source and member.name.startswith(KEPT) and not member.name.endswith(".map"):
                target = folder / member.name.removeprefix("package/")
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("wb") as file:
                    shutil.copyfileobj(source, file)
