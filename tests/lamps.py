"""The model `lamp` in a clone: the nearest of ten mean pictures, in plain Python, with or without torch in its lock."""

import json
import shutil

from story import ROOT

TORCH = {"torch", "sympy", "mpmath", "networkx", "fsspec"}  # itself and what nobody else there asks for
DIGITS = ROOT / "models" / "digits"


def add_lamp(clone, name="lamp", *, lean=False):
    """Commit the model to a clone. `lean`: its environment has no torch, which it never imports."""
    there = clone.folder / "models" / name
    shutil.copytree(ROOT / "tests" / "lamp", there, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("data.py", "Pipfile", "Pipfile.lock"):
        shutil.copy(DIGITS / file, there / file)
    if lean:
        lines = (there / "Pipfile").read_text().partition("[cuda]")[0].splitlines()
        (there / "Pipfile").write_text("\n".join(line for line in lines if not line.startswith("torch ")) + "\n")
        (there / "Pipfile.lock").write_text(json.dumps(lean_lock(json.loads((DIGITS / "Pipfile.lock").read_text()))))
    clone.git("add", "models")
    clone.git("commit", "-m", f"model {name}")


def lean_lock(lock):
    """Return a lock without torch: all other packages as they are, by the same hashes."""
    default = {name: entry for name, entry in lock["default"].items() if name not in TORCH}
    return {name: section for name, section in lock.items() if name != "cuda"} | {"default": default}
