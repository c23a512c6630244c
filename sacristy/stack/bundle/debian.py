"""Debian's packages of a bundle: what a plain host needs first, with all they depend on, as a folder that apt reads."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from sacristy.commands import run
from sacristy.images.copy import Progress

FOLDER, INDEX = "debian", "Packages"
NAME = re.compile(r"[a-z0-9][a-z0-9+.-]+")  # Debian Policy 5.6.1
ONLY_DEPENDS = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")


def with_dependencies(names: Sequence[str]) -> list[str]:
    """Return packages and all that they depend on, as this host's apt knows it. Raises CommandFailed."""
    options = [f"--no-{kind}" for kind in ONLY_DEPENDS]
    return packages_in(run(["apt-cache", "depends", "--recurse", *options, *names]))


def packages_in(text: str) -> list[str]:
    """Return the packages that `apt-cache depends --recurse` lists; indented lines and <virtual> ones are none."""
    return sorted({line for line in text.splitlines() if NAME.fullmatch(line)})


def gather_debian(names: Sequence[str], folder: Path, progress: Progress) -> None:
    """Fill debian/ of a bundle, or leave it out without names. Raises CommandFailed with apt's last line."""
    target = folder / FOLDER
    shutil.rmtree(target, ignore_errors=True)
    if not names:
        return
    target.mkdir(parents=True)
    wanted = with_dependencies(names)
    progress(f"Debian's packages, {len(wanted)}")
    run(["apt-get", "download", "--quiet", *wanted], folder=target)
    (target / INDEX).write_text("\n".join(entry(path) for path in sorted(target.glob("*.deb"))))


def entry(path: Path) -> str:
    """Return a package's paragraph in the index: what it says of itself, where it lies, and its digest."""
    about = run(["dpkg-deb", "--field", str(path)]).strip()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{about}\nFilename: ./{path.name}\nSize: {path.stat().st_size}\nSHA256: {digest}\n"
