"""A run is repeated from its commit and its diff, and compared."""

import subprocess
import sys

import pytest

from sacristy.errors import NotReproducible
from sacristy.tracking.reproduce import checkout, compare, config_words, differences, environment

SCRIPT = """
@ex.config
def config():
    seed = 7
    net = {"size": 3}
    name = "a b"

@ex.automain
def main(_run, _rnd):
    for _ in range(5):
        _run.log_scalar("loss", _rnd.random())
    return {"score": FACTOR * 1.0}
"""


@pytest.fixture
def repository(bench):
    def git(*words):
        argv = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *words]
        subprocess.run(argv, cwd=bench.project, check=True, capture_output=True)

    (bench.project / ".gitignore").write_text("__pycache__\ntruth\n")
    (bench.project / "factor.py").write_text("FACTOR = 1\n")
    bench.train("import factor; FACTOR = factor.FACTOR\n" + SCRIPT, "print_config")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    return bench


def train(bench, **options):
    bench.train("import factor; FACTOR = factor.FACTOR\n" + SCRIPT, **options)
    return bench.newest()


@pytest.mark.parametrize("factor", [1, 2], ids=["clean", "dirty"])
def test_a_run_is_repeated_from_its_commit_and_its_diff(repository, factor):
    bench = repository
    (bench.project / "factor.py").write_text(f"FACTOR = {factor}\n")
    first = train(bench)
    assert first.dirty == (factor == 2)
    (bench.project / "factor.py").write_text("FACTOR = 9\n")
    with checkout(bench.db, bench.project, first) as worktree:
        assert (worktree / "factor.py").read_text() == f"FACTOR = {factor}\n"
        script = next(worktree.glob("train*.py")).name
        env = bench.server.environment(bench.project, bench.home) | environment(bench.settings, worktree, first)
        words = config_words(first.config)
        subprocess.run([sys.executable, "-W", "ignore", script, "with", *words], cwd=worktree, env=env, check=True)
    second = bench.newest()
    assert second.document["sacristy"]["repeats"] == first.id
    comparison = compare(bench.db, first, second)
    assert comparison.verdict == "equal"
    assert {row.name for row in comparison.rows} == {"loss", "result score"}
    assert differences(first, second) == []
    other = train(bench)
    assert compare(bench.db, first, other).verdict == "different"
    assert compare(bench.db, first, other, tolerance=10).verdict == "within tolerance"
    assert any(line.startswith("code") for line in differences(first, other))


def test_the_diff_of_a_dirty_tree_is_stored_once_per_content(repository):
    bench = repository
    digests = []
    for factor in (2, 2, 3):
        (bench.project / "factor.py").write_text(f"FACTOR = {factor}\n")
        digests.append(train(bench).document["sacristy"]["diff"])
    assert digests[0] == digests[1] != digests[2]
    stored = [file["filename"] for file in bench.db["fs.files"].find({"filename": {"$regex": "^diff://"}})]
    assert sorted(stored) == sorted({f"diff://{digest}" for digest in digests})


def test_a_run_from_no_commit_cannot_be_repeated(bench):
    bench.train("@ex.automain\ndef main(_run):\n    pass\n")
    with pytest.raises(NotReproducible), checkout(bench.db, bench.project, bench.newest()):
        pass


def test_a_diff_beside_an_untracked_file_is_refused(repository):
    bench = repository
    (bench.project / "factor.py").write_text("FACTOR = 2\n")
    (bench.project / "new.py").write_text("git does not know me\n")
    run = train(bench)
    assert run.document["sacristy"]["diff"]
    with pytest.raises(NotReproducible, match="git did not know"), checkout(bench.db, bench.project, run):
        pass
