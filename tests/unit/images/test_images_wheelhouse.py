"""Environment images: what is fetched, what is built. No engine, no network."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from sacristy import engine
from sacristy.errors import LocalWheelMissing
from sacristy.images.base import build_arguments
from sacristy.images.wheelhouse import Variant, download_command, require_cpu_build, requirements, sections

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "deploy" / "images" / "serving"
LOCK = {
    "default": {"torch": {"version": "==2.13.0", "hashes": ["sha256:aa", "sha256:bb"]}},
    "train": {"sacred": {"version": "==0.8.7", "hashes": ["sha256:cc"], "markers": "python_version >= '3.8'"}},
    "cuda": {"cuda-toolkit": {"version": "==13.0.3", "hashes": ["sha256:dd"], "extras": ["cublas", "nvtx"]}},
}


def test_requirements_hold_every_hash_of_the_lock():
    assert requirements(LOCK, sections(Variant.CPU, train=True)) == (
        "sacred==0.8.7 ; python_version >= '3.8' --hash=sha256:cc\ntorch==2.13.0 --hash=sha256:aa --hash=sha256:bb\n"
    )
    cuda = requirements(LOCK, sections(Variant.CUDA, train=False))
    assert cuda.splitlines()[0] == "cuda-toolkit[cublas,nvtx]==13.0.3 --hash=sha256:dd"


def test_wheels_are_fetched_by_hash_and_never_built():
    argv = download_command(Path("r.txt"), Path("wheels"))
    assert argv[1:5] == ["-m", "pip", "download", "--quiet"]
    assert argv[5:] == (
        ["--require-hashes", "--no-deps", "--only-binary", ":all:", "--dest", "wheels", "--requirement", "r.txt"]
    )


def test_the_cpu_variant_needs_the_cpu_build_of_torch():
    require_cpu_build(LOCK, {"/w/torch-2.13.0+cpu-cp311.whl": "bb"})
    with pytest.raises(LocalWheelMissing, match=r"torch==2\.13\.0"):
        require_cpu_build(LOCK, {"/w/torch-2.13.0+cpu-cp311.whl": "xx"})


def test_an_environment_image_is_built_without_a_network():
    assert engine.build_command(Path("c"), Path("d/Dockerfile"), "env-1:cpu", {"BASE": "b"}) == [
        *("docker", "build", "--network", "none", "--force-rm", "--file", "d/Dockerfile", "--tag", "env-1:cpu"),
        *("--build-arg", "BASE=b", "c"),
    ]
    assert engine.save_command("env-1:cpu", Path("x.tar")) == (
        ["docker", "image", "save", "--output", "x.tar", "env-1:cpu"]
    )


@pytest.mark.parametrize(
    ("found", "digest"),
    [
        ({"Id": "sha256:id", "RepoDigests": ["python@sha256:pushed"]}, "sha256:pushed"),
        ({"Id": "sha256:id", "RepoDigests": []}, "sha256:id"),
    ],
)
def test_the_base_is_recorded_by_its_digest(found, digest):
    model = SimpleNamespace(lock_hash="1" * 64)
    made = build_arguments("python@sha256:pushed", found, model, Variant.CUDA, "env-1")
    assert made == {
        "BASE": "python@sha256:pushed",
        "BASE_NAME": "python",
        "BASE_DIGEST": digest,
        "TITLE": "env-1",
        "LOCK": "1" * 64,
        "VARIANT": "cuda",
        "DEVICES": "all",
    }


def test_the_dockerfile_takes_every_argument_and_runs_as_nobody():
    text = (FOLDER / "Dockerfile").read_text()
    declared = set(re.findall(r"^ARG (\w+)", text, re.MULTILINE))
    model = SimpleNamespace(lock_hash="1")
    assert declared == set(build_arguments("b", {"Id": "i"}, model, Variant.CPU, "env-1"))
    last = text.split("FROM")[-1]
    assert "USER 65532:65532" in last
    assert "HEALTHCHECK" in last
    assert "pip" not in last
    assert "--hash=sha256:" in (FOLDER / "pip.txt").read_text()
