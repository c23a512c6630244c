"""What goes wrong is told in one line with what to do next, and nothing is half done."""

import os
import shutil

import pytest

BARE = """
import sacristy

ex = sacristy.experiment("bare")


@ex.automain
def main():
    return 1
"""


@pytest.fixture(scope="module")
def ready(clone):
    clone.run("up")
    return clone


def told(clone, *words):
    """Run a command that must fail; return the one line it ends with."""
    _, said = clone.run(*words, code=1)
    line = said.strip().splitlines()[-1]
    assert line.startswith("error: "), said
    assert " → " in line
    assert "Traceback" not in said
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "nope"], "there is no model 'nope'; there is bare, digits"),
        (["build", "nope"], "there is no model 'nope'"),
        (["build", "digits", "--run", "99999"], "99999"),
        (["show", "99999"], "99999"),
        (["test", "digits:99999"], "there is no image digits:99999"),
        (["promote", "digits:99999", "staging"], "there is no image digits:99999"),
        (["rollback", "bare", "staging"], "nothing was promoted to bare:staging"),
        (["deploy", "bare", "staging"], "nothing was promoted to bare:staging"),
        (["logs", "bare", "--stage", "staging"], "nothing answers for bare:staging"),
        (["predict", "bare", "--json", '{"instances": [1]}'], "bare"),
    ],
)
def test_a_name_that_is_nothing_is_told(ready, words, said):
    make_bare(ready)
    assert said in told(ready, *words)


@pytest.mark.parametrize(
    "words",
    [
        ["train"],
        ["train", "../digits"],
        ["show", "abc"],
        ["build", "digits", "--run"],
        ["frobnicate"],
        ["promote", "digits:1"],
    ],
)
def test_wrong_usage_ends_with_2(ready, words):
    _, said = ready.run(*words, code=2)
    assert "rror" in said
    assert "Traceback" not in said


def test_a_run_without_weights_is_not_built(ready):
    make_bare(ready)
    ready.run("train", "bare")
    assert "weights" in told(ready, "build", "bare")
    assert not (ready.home / "images" / "bare").exists() or ready.json("images", "bare") == []


def test_weights_with_one_byte_flipped_are_not_built(ready):
    ready.run("train", "digits", "with", "epochs=1")
    run = ready.json("runs", "--model", "digits", "--limit", "1")[0]
    (file,) = [file for file in run["sacristy"]["weights"] if file["name"].endswith(".safetensors")]
    blob = ready.home / "weights" / "blobs" / "sha256" / file["digest"].removeprefix("sha256:")
    flip(blob)
    line = told(ready, "build", "digits", "--run", str(run["_id"]))
    flip(blob)
    assert file["digest"].removeprefix("sha256:")[:12] in line
    assert str(run["_id"]) not in [row["version"] for row in ready.json("images", "digits")]


def test_uncommitted_work_is_not_released_unless_asked_for_and_then_says_so(ready):
    path = ready.folder / "models" / "digits" / "features.py"
    clean = path.read_text()
    path.write_text(clean + "\n# not in any commit\n")
    try:
        ready.run("train", "digits", "with", "epochs=1")
        assert "--allow-dirty" in told(ready, "build", "digits")
        built = ready.json("build", "digits", "--allow-dirty")
        assert ready.json("show", built["version"])["sacristy"]["dirty"]
    finally:
        path.write_text(clean)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[gates]\nminimun = 1", "gates.minimun: unknown key; did you mean 'minimum'"),
        ("titel = 'x'", "titel: unknown key; did you mean 'title'"),
        ("title = ", "model.toml: file:"),
    ],
)
def test_a_fault_in_model_toml_is_named_by_its_dotted_path(ready, text, said):
    make_bare(ready)
    path = ready.folder / "models" / "bare" / "model.toml"
    good = path.read_text()
    path.write_text(good.replace("[gates]", text) if text.startswith("[gates]") else text + "\n" + good)
    try:
        assert said in told(ready, "train", "bare")
    finally:
        path.write_text(good)


def test_a_home_that_cannot_be_written_is_told(ready):
    here = ready.environment
    ready.environment = here | {"SACRISTY_HOME": "/proc/sacristy"}
    try:
        assert "cannot write to /proc/sacristy" in told(ready, "init")
    finally:
        ready.environment = here


def test_outside_of_a_project_that_is_told(ready, tmp_path):
    folder, ready.folder = ready.folder, tmp_path
    kept = ready.environment.pop("SACRISTY_PROJECT")
    try:
        assert "no Sacristy project at or above" in told(ready, "status")
    finally:
        ready.folder, ready.environment["SACRISTY_PROJECT"] = folder, kept


def test_a_request_that_the_model_refuses_is_told_by_its_field(ready):
    if "digits" not in ready.json("status")["models"]:
        ready.run("train", "digits")
        ready.run("release", "digits")
    stage = ["--stage", "staging"]
    assert "instances.0" in told(ready, "predict", "digits", "--json", '{"instances": [[1]]}', *stage)
    assert "JSON" in told(ready, "predict", "digits", "--json", "{", *stage)


def test_a_copied_model_does_not_record_under_the_originals_name(ready):
    shutil.copytree(ready.folder / "models" / "digits", ready.folder / "models" / "copied")
    try:
        _, said = ready.run("train", "copied", code=1)
        assert "models/copied records its runs as 'digits'" in said
        assert "write sacristy.experiment('copied')" in said
    finally:
        shutil.rmtree(ready.folder / "models" / "copied")


def test_a_run_of_another_model_is_not_built(ready):
    make_bare(ready)
    ready.run("train", "bare")
    number = str(ready.json("runs", "--model", "bare", "--limit", "1")[0]["_id"])
    assert f"run {number} is one of bare, not of digits" in told(ready, "build", "digits", "--run", number)


def make_bare(clone):
    """Add a model that leaves no weights behind."""
    folder = clone.folder / "models" / "bare"
    if folder.exists():
        return
    folder.mkdir()
    for name in ("Pipfile", "Pipfile.lock", "model.toml"):
        shutil.copy(clone.folder / "models" / "digits" / name, folder / name)
    (folder / "train.py").write_text(BARE)
    clone.git("add", "models/bare")
    clone.git("commit", "-m", "a model that leaves no weights")


def flip(path):
    """Flip the last bit of a file, whose permissions stay."""
    mode = path.stat().st_mode
    os.chmod(path, 0o600)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.chmod(path, mode)
