import pytest

from sacristy.release.moves import history


def move(action, to, state="done"):
    return {"action": action, "to": to, "state": state}


@pytest.mark.parametrize(
    ("moves", "left"),
    [
        ([], []),
        ([move("promoted", "a")], ["a"]),
        ([move("promoted", "a"), move("promoted", "b")], ["a", "b"]),
        ([move("promoted", "a"), move("promoted", "a")], ["a"]),
        ([move("promoted", "a"), move("promoted", "b"), move("rolled_back", "a")], ["a"]),
        ([move("promoted", "a"), move("promoted", "b"), move("rolled_back", "a"), move("promoted", "c")], ["a", "c"]),
        ([move("promoted", "a"), move("promoted", "b", "undone")], ["a"]),
        ([move("promoted", "a"), move("promoted", "b", "moving")], ["a"]),
        ([move("promoted", "a"), move("adopted", "x")], ["a", "x"]),
        ([move("promoted", v) for v in "abc"] + [move("rolled_back", "b"), move("rolled_back", "a")], ["a"]),
    ],
)
def test_a_stage_is_the_replay_of_its_moves(moves, left):
    assert history(moves) == left
