"""Where each tier's tests are looked for."""

import pytest
from all_tiers import TIERS, places


@pytest.mark.parametrize("tier", TIERS, ids=lambda tier: tier.marker)
def test_every_tier_has_a_place(tier):
    assert places(tier.marker)


def test_a_folder_counts_whole_where_its_conftest_gives_the_marker(tmp_path, monkeypatch):
    monkeypatch.setattr("all_tiers.ROOT", tmp_path)
    for name, text in {
        "a/conftest.py": "mark.x",
        "a/test_a.py": "",
        "b/test_b.py": "mark.x",
        "b/test_c.py": "",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert places("x", tmp_path) == ["a", "b/test_b.py"]
