# ruff: noqa: PT027, RUF001 (no pytest in this environment; letters that look like others are what is tested)
"""The split is decided by a text's words, the same for ever. Plain unittest, as the model's environment has it."""

import random
import sys
import tempfile
import unicodedata
import unittest
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import data

from sacristy.errors import DataChanged, DataMissing

PIECES = [
    "Zürich",
    "café",
    "ﬁnance",
    "ＡＢＣ",
    "straße",
    "Ångström",
    "ΐ",
    "İ",
    "oil",
    "U.S.",
    "--",
    "  ",
    "2004",
    "#39;s",
]


def some_texts(count):
    chance = random.Random(7)
    return [" ".join(chance.choices(PIECES, k=chance.randint(1, 30))) for _ in range(count)]


def data_folder(folder):
    return mock.patch.object(data.settings, "load", return_value=SimpleNamespace(data=folder))


class SplitTest(unittest.TestCase):
    def test_unicode_twins_fall_on_one_side(self):
        for text in some_texts(500):
            twins = {unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")}
            assert {data.part_of(twin) for twin in twins} == {data.part_of(text)}, text

    def test_case_spacing_and_punctuation_do_not_move_a_text(self):
        for text in some_texts(500):
            assert data.part_of(f"  {text.casefold()}!\n") == data.part_of(text), text

    def test_membership_never_changes(self):
        parts = [data.part_of(f"review number {number}")[0] for number in range(24)]
        assert "".join(parts) == "hthttthtttthththhttttvtt"

    def test_the_parts_have_their_shares(self):
        count = Counter(data.part_of(f"text {number}") for number in range(20_000))
        assert abs(count["heldout"] / 20_000 - 25 / 256) < 0.01
        assert abs(count["validation"] / 20_000 - 13 / 256) < 0.01


class ReadingTest(unittest.TestCase):
    def test_a_missing_copy_is_one_clear_line(self):
        with data_folder(Path("nowhere")), self.assertRaisesRegex(DataMissing, "nowhere.*No such file"):
            data.read()

    def test_without_the_setting_it_says_which_one(self):
        with data_folder(None), self.assertRaisesRegex(DataMissing, "SACRISTY_DATA is not set"):
            data.read()

    def test_another_file_is_refused(self):
        with tempfile.TemporaryDirectory() as folder, data_folder(Path(folder)):
            (Path(folder) / data.FILE).parent.mkdir()
            (Path(folder) / data.FILE).write_bytes(b"something else")
            with self.assertRaisesRegex(DataChanged, data.SHA256):
                data.read()


if __name__ == "__main__":
    unittest.main()
