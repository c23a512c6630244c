"""From a run to a pushed image: `sacristy build` and `push` beside `docker build` and `docker push` of the same files.

Both on one base, to one docker-registry on loopback over TLS, in one run; the base is in the registry before the clock
starts. Weights are random bytes (they do not shrink). Needs root, docker.io, debootstrap and docker-registry.

    .venv/bin/python bench/images/run.py [--mib 10 1024]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from engine import BASE, Engine, missing  # noqa: E402
from services.images.conftest import Server  # noqa: E402

from sacristy.images.archive import import_archive  # noqa: E402
from sacristy.images.base import open_base  # noqa: E402
from sacristy.images.build import build  # noqa: E402
from sacristy.images.copy import copy_image  # noqa: E402
from sacristy.images.layout import FolderRegistry  # noqa: E402
from sacristy.images.unpack import unpack  # noqa: E402
from sacristy.settings import Settings  # noqa: E402
from sacristy.sources import describe, image_paths  # noqa: E402
from sacristy.tracking.runs import RunRecord, WeightsFile  # noqa: E402
from sacristy.weights.folder import FolderStore  # noqa: E402

MIB = 1 << 20
ENVIRONMENT = "env-" + "0" * 16
DOCKERFILE = f"""FROM {BASE}
COPY app/sacristy /app/sacristy/
COPY app/model /app/model/
COPY app/weights /app/weights/
COPY app/baseline.json /app/
"""


class Yard:
    """A store, a local layout, a registry and an engine."""

    def __init__(self, folder: Path, base: Path | None) -> None:
        self.folder = folder
        (folder / "registry").mkdir()
        (folder / "engine").mkdir()
        self.settings = Settings(project=ROOT, home=folder / "home")
        self.store = FolderStore(folder / "weights")
        self.built = FolderRegistry(self.settings.images_folder)
        self.server = Server(folder / "registry")
        self.server.start()
        self.registry = self.server.registry()
        self.engine = Engine(folder / "engine")
        self.engine.make_base(base)
        self.host = f"127.0.0.1:{self.server.port}"
        self.engine.docker("login", "--username", "ci", "--password-stdin", self.host, input=self.server.password)
        self.push_base()

    def push_base(self) -> None:
        """Bring the base into the layout, and into the registry from both sides."""
        archive = self.folder / "base.tar"
        self.engine.docker("image", "save", "--output", archive, BASE)
        self.built.tag(ENVIRONMENT, "cpu", import_archive(archive, self.built, ENVIRONMENT))
        archive.unlink()
        self.base = open_base(self.built, ENVIRONMENT, "cpu")
        copy_image(self.built, self.registry, ENVIRONMENT, self.base.digest)
        self.engine.docker("tag", BASE, f"{self.host}/docker-base:1")
        self.engine.docker("push", "--quiet", f"{self.host}/docker-base:1")

    def run_of(self, number: int, mib: int) -> RunRecord:
        """Return a completed run with new weights, which are in the store as a training leaves them."""
        path = self.folder / "model.safetensors"
        with path.open("wb") as file:
            for _ in range(mib):
                file.write(os.urandom(MIB))
        sources = describe(ROOT, image_paths("digits"))
        weights = (WeightsFile("model.safetensors", *self.store.put(path), "weights"),)
        path.unlink()
        return RunRecord(
            id=number,
            model="digits",
            status="COMPLETED",
            started=None,
            stopped=None,
            heartbeat=None,
            config={},
            result=None,
            commit=sources.commit,
            dirty=sources.dirty,
            sources=sources.fingerprint,
            lock="0" * 64,
            data={},
            weights=weights,
            complete=True,
            document={},
        )

    def close(self) -> None:
        """End both servers."""
        self.registry.close()
        self.server.kill()
        self.engine.close()


def with_sacristy(yard: Yard, run: RunRecord) -> dict[str, float]:
    """Build and push a run's image."""
    start = time.monotonic()
    image = build(yard.settings, run, store=yard.store, base=yard.base, allow_dirty=True)
    middle = time.monotonic()
    report = copy_image(yard.built, yard.registry, "digits", image.digest)
    yard.registry.tag("digits", str(image.version), image.digest)
    end = time.monotonic()
    return {"build_s": middle - start, "push_s": end - middle, "sent": report.bytes_sent, "digest": image.digest}


def with_docker(yard: Yard, run: RunRecord, digest: str) -> dict[str, float]:
    """Build and push an image of the same files with the engine; laying out its context is not timed."""
    context = yard.folder / "context"
    shutil.rmtree(context, ignore_errors=True)
    unpack(yard.built, "digits", digest, context)
    (context / "Dockerfile").write_text(DOCKERFILE)
    name = f"{yard.host}/by-docker:{run.id}"
    start = time.monotonic()
    yard.engine.docker("build", "--quiet", "--tag", name, context)
    middle = time.monotonic()
    yard.engine.docker("push", "--quiet", name)
    end = time.monotonic()
    shutil.rmtree(context)
    return {"build_s": middle - start, "push_s": end - middle}


def hash_and_send(yard: Yard, mib: int) -> float:
    """Return the seconds to hash fresh bytes once and to send them to the registry as one blob."""
    path = yard.folder / "blob"
    with path.open("wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
    start = time.monotonic()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    yard.registry.put_blob("plain", f"sha256:{digest}", path)
    took = time.monotonic() - start
    path.unlink()
    return took


def measure(yard: Yard, mib: int, first: int) -> list[dict[str, object]]:
    """Return a row for each of two versions of a model with that many MiB of weights."""
    rows = []
    bound = hash_and_send(yard, mib)
    for version, number in (("first", first), ("second", first + 1)):
        run = yard.run_of(number, mib)
        ours = with_sacristy(yard, run)
        theirs = with_docker(yard, run, str(ours["digest"]))
        rows.append({"mib": mib, "version": version, "sacristy": ours, "docker": theirs, "hash_and_send_s": bound})
    return rows


def show(rows: list[dict[str, object]]) -> None:
    """Print the table that the README quotes."""
    print("| weights | version | sacristy build + push | docker build + push | ratio | bytes sent | hash and send |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        ours, theirs = row["sacristy"], row["docker"]
        mine, other = ours["build_s"] + ours["push_s"], theirs["build_s"] + theirs["push_s"]
        print(
            f"| {row['mib']} MiB | {row['version']} | {ours['build_s']:.2f} + {ours['push_s']:.2f} = {mine:.2f} s "
            f"| {theirs['build_s']:.2f} + {theirs['push_s']:.2f} = {other:.2f} s | {other / mine:.1f} "
            f"| {ours['sent']:,} | {row['hash_and_send_s']:.2f} s |"
        )


def main() -> None:
    """Measure all sizes, print the table and the rows as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mib", type=int, nargs="+", default=[10, 1024], help="sizes of the weights, MiB")
    parser.add_argument("--base", type=Path, help="a folder that debootstrap made; made anew if not given")
    given = parser.parse_args()
    reason = missing()
    if reason:
        sys.exit(f"not run: {reason}")
    with tempfile.TemporaryDirectory(prefix="bench-images-") as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        os.environ["DOCKER_CONFIG"] = f"{folder}/docker"
        yard = Yard(Path(folder), given.base)
        try:
            rows = [row for index, mib in enumerate(given.mib) for row in measure(yard, mib, 10 * index + 1)]
        finally:
            yard.close()
    show(rows)
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
