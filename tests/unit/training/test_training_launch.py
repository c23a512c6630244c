"""What torchrun is told for the ranks of one node, and what is shown of one that failed."""

import pytest

from sacristy.training.former import going_on
from sacristy.training.launch import last_lines, shell_code, teed
from sacristy.training.pod import Post, name_of


@pytest.mark.parametrize(
    ("node", "processes", "told"), [(0, 1, "0"), (0, 3, "1:3,2:3"), (1, 1, "0:3"), (2, 2, "0:3,1:3")]
)
def test_all_ranks_but_0_are_shown_with_their_numbers(node, processes, told):
    assert teed(node, processes) == told


def test_the_last_lines_are_those_of_its_errors_or_else_what_it_printed(tmp_path):
    for rank, (errors, printed) in enumerate([("first\nlast\n", "x\n"), ("\n", "said\n"), ("", "")]):
        folder = tmp_path / "none_a1" / "attempt_0" / str(rank)
        folder.mkdir(parents=True)
        (folder / "stderr.log").write_text(errors)
        (folder / "stdout.log").write_text(printed)
    assert [list(last_lines(tmp_path, rank)) for rank in range(4)] == [["first", "last"], ["said"], [], []]


def test_a_rank_that_was_killed_has_the_code_that_a_shell_gives_it():
    assert (shell_code(-9), shell_code(7), shell_code(0)) == (137, 7, 0)


def test_a_pod_reads_its_post_from_its_variables():
    given = {"SACRISTY_WORKERS": "3", "SACRISTY_CHIEF": "a:1", "JOB_COMPLETION_INDEX": "2", "SACRISTY_TOKEN": "t"}
    assert Post.of(given) == Post(2, 3, "a:1", "t")
    assert Post.of({"SACRISTY_TOKEN": "t", "JOB_COMPLETION_INDEX": "2"}) == Post(0, 1, "", "t")
    assert "t" * 32 not in name_of(Post(0, 2, "", "t" * 32))


def test_another_worker_begins_as_the_chief_says():
    start = going_on({"words": ["with", "lr=1"], "parent": None, "checkpoint": {}}, None, None)
    assert (start.words, start.environment) == (["with", "lr=1"], {})
