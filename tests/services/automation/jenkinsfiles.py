"""The Jenkinsfiles of this repository, and their `sh` steps by their text and by Groovy's parser (outline.groovy)."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[3]
OUTLINE = Path(__file__).with_name("outline.groovy")
FILES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "Jenkinsfile", *ROOT.glob("jenkins/*.Jenkinsfile"), *ROOT.glob("models/*/Jenkinsfile"))
)


def shell_steps(name):
    """Return the scripts of a file's `sh` steps in order; a step of another form than sh '...' is returned as None."""
    found = re.findall(r"\bsh\b\s*(?:\(|'((?:[^'\\\n]|\\.)*)'|\"|\$)", (ROOT / name).read_text())
    return [text.replace("\\'", "'").replace("\\\\", "\\") or None for text in found]


def outlines(names=FILES):
    """Return what Groovy's own parser finds in each file."""
    java = Path(os.path.realpath(shutil.which("java"))).parents[1]
    argv = ["groovy", str(OUTLINE), *names]
    environment = os.environ | {"JAVA_HOME": str(java)}
    done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
