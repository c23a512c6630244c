"""The digest of a version is the same on two clones."""

import shutil
import subprocess

from story import ROOT, Clone


def test_two_clones_build_a_run_to_one_digest(clone, tmp_path):
    clone.run("up")
    clone.run("train", "digits", "with", "epochs=2")
    here = clone.json("build", "digits")
    other = Clone(tmp_path / "other", clone.home)
    subprocess.run(["git", "clone", "--quiet", str(clone.folder), str(other.folder)], check=True)
    shutil.rmtree(clone.home / "images" / "digits")  # so that it is made, not found
    there = other.json("build", "digits", "--run", here["version"])
    assert there["new"]
    assert (there["digest"], there["version"]) == (here["digest"], here["version"])


def test_another_stack_trains_and_builds_to_the_same_layers(clone, tmp_path):
    clone.run("up")
    clone.run("train", "digits", "with", "epochs=2")
    here = clone.json("show", clone.json("build", "digits")["version"])["sacristy"]
    clone.run("train", "digits", "with", "epochs=2")
    again = clone.json("show", clone.json("build", "digits")["version"])["sacristy"]
    assert here["weights"] == again["weights"]
    assert clone.folder != ROOT
