"""A small environment image, made without an engine: this machine's Python, its libraries, and what serving needs.

For models that predict with Python alone. It lies in the registry where the environment image of their lock would be.
"""

import importlib.metadata
import io
import json
import re
import subprocess
import sys
from pathlib import Path

from sacristy.images.base import repository_of, tag_of
from sacristy.images.layers import Member, write_layer
from sacristy.images.manifest import CONFIG, LAYER, canonical, described, image_manifest
from sacristy.images.wheelhouse import Variant

SERVING = ("flask", "gunicorn", "pydantic", "orjson", "prometheus-client")
TRAINING = ("sacred", "setuptools", "pymongo", "boto3", "gitpython", "filelock", "pydantic-settings")
LEFT_OUT = {"test", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "site-packages", "__pycache__"}
UNUSED = {"torch/test", "torch/include"}
HOME = Path("usr/local")
PASSWD = b"nobody:x:65532:65532::/:/nonexistent\n"


def push_environment(registry, lock_hash, packages, *, train=False, more=()):
    """Push the image for a lock; `packages` is a site-packages that has what is needed. Return its digest."""
    own = dict(chosen(packages, (*SERVING, *TRAINING, *more) if train else SERVING))
    needed = shared_by([path for path in own.values() if path.suffix == ".so"])
    layers = [layer(python() | {path.relative_to("/"): path for path in needed}), layer(own)]
    config = canonical(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {
                "Env": ["PATH=/usr/local/bin"],
                "User": "65532:65532",
                "Labels": {"dev.sacristy.variant": "cpu"},
            },
            "rootfs": {"type": "layers", "diff_ids": [found.digest for found, _ in layers]},
        }
    )
    repository = repository_of(lock_hash)
    for found, content in layers:
        registry.put_blob(repository, found.digest, content)
    registry.put_blob(repository, described(config, CONFIG).digest, config)
    manifest = image_manifest(described(config, CONFIG), [found for found, _ in layers], {})
    digest = registry.put_manifest(repository, manifest)
    registry.tag(repository, tag_of(Variant.CPU, train=train), digest)
    return digest


def layer(files):
    """Return a layer's descriptor and bytes. `files`: where from, by where to."""
    out = io.BytesIO()
    members = []
    for path, source in files.items():
        content = source if isinstance(source, bytes) else source.read_bytes()
        runs = not isinstance(source, bytes) and bool(source.stat().st_mode & 0o100)
        members.append(Member(str(path), len(content), content, executable=runs))
    write_layer(out, members)
    return described(out.getvalue(), LAYER), out.getvalue()


def python():
    """Yield Python itself, its standard library and the shared libraries that they load."""
    base = Path(sys.base_prefix)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    program, library = (base / "bin" / name).resolve(), base / "lib" / name
    files = {HOME / "bin" / word: program for word in (name, "python", "python3")}
    sources = [
        path for path in library.rglob("*") if path.is_file() and not LEFT_OUT & set(path.relative_to(library).parts)
    ]
    files |= {HOME / "lib" / name / path.relative_to(library): path for path in sources}
    objects = [program, *(path for path in sources if path.suffix == ".so")]
    files |= {path.relative_to("/"): path for path in shared_by(objects)}
    return files | {Path("etc/passwd"): PASSWD, Path("tmp/.keep"): b"", Path("usr/bin/.keep"): b""}


def shared_by(objects):
    """Return the shared libraries that programs and modules need, the loader included."""
    said = subprocess.run(["ldd", *map(str, objects)], capture_output=True, text=True, check=False).stdout
    return sorted({Path(found) for found in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", said, re.MULTILINE)})


def chosen(packages, names=SERVING):
    """Yield the files of packages and of all that they need themselves."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    known = {
        canonical_name(dist.metadata["Name"]): dist for dist in importlib.metadata.distributions(path=[str(packages)])
    }
    wanted, seen = list(names), set()
    while wanted:
        dist = known.get(wanted.pop())
        if dist is None or dist in seen:
            continue
        seen.add(dist)
        needs = [need for need in dist.requires or () if "extra ==" not in need]
        wanted += [canonical_name(re.match(r"[A-Za-z0-9._-]+", need)[0]) for need in needs]
        for file in dist.files or ():
            path = Path(dist.locate_file(file))
            if ".." in file.parts or path.suffix == ".pyc" or "/".join(file.parts[:2]) in UNUSED:
                continue
            if path.is_file():
                yield HOME / "lib" / name / "site-packages" / file, path


def canonical_name(name):
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    print(json.dumps({"bytes": sum(len(layer(files)[1]) for files in (python(), dict(chosen(sys.argv[1]))))}))
