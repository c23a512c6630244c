# ruff: noqa: RUF001 (letters that look like others are what is tested)
"""Hashed words and bigrams: the same for one text and for many, in every process."""

import os
import random
import subprocess
import sys
import tempfile
import unicodedata
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from features import BITS, Vocabulary, hashed, words

STORIES = ["Oil prices rise", "Zürich's café reopens", "", "one", "The 2-1 win, the 2-1 win", "... !"]


class WordsTest(unittest.TestCase):
    def test_words_are_folded_and_markup_is_gone(self):
        assert words("Pakistan #39;s 2&amp;3 &lt;b&gt;Café&lt;/b&gt;\\ENDS") == [
            "pakistan",
            "s",
            "2",
            "3",
            "café",
            "ends",
        ]

    def test_case_and_spacing_change_nothing(self):
        for text in STORIES:
            for twin in (text.upper(), text.lower(), f"\t{text}  ", text.replace(" ", "\n")):
                assert words(twin) == words(text), twin

    def test_unicode_forms_change_nothing(self):
        for form in ("NFC", "NFD", "NFKC", "NFKD"):
            assert words(unicodedata.normalize(form, "Ångström ﬁnance ＡＢＣ")) == ["ångström", "finance", "abc"]


class HashTest(unittest.TestCase):
    def test_a_batch_gives_what_its_texts_give_alone(self):
        chance = random.Random(3)
        for _ in range(100):
            texts = chance.choices(STORIES, k=chance.randint(1, 8))
            alone = [hashed([text])[0] for text in texts]
            hashes, lengths = hashed(texts)
            assert lengths.tolist() == [len(one) for one in alone]
            assert np.array_equal(hashes, np.concatenate(alone))

    def test_n_words_give_n_words_and_one_bigram_less(self):
        assert hashed(["a b c", "a", ""])[1].tolist() == [5, 1, 0]

    def test_the_order_of_two_words_counts(self):
        assert set(hashed(["man bites dog"])[0]) != set(hashed(["dog bites man"])[0])

    def test_hashes_never_change(self):
        assert hashed(["oil prices"])[0].tolist() == [736483799, 1785308327, 571262654]

    def test_hashes_are_the_same_in_another_process_with_another_seed(self):
        program = "from features import hashed; print(hashed(['oil prices rise'])[0].tolist())"
        environment = os.environ | {"PYTHONHASHSEED": "99"}
        folder = Path(__file__).resolve().parents[1]
        found = subprocess.check_output([sys.executable, "-c", program], cwd=folder, env=environment, text=True)
        assert found.strip() == str(hashed(["oil prices rise"])[0].tolist())

    def test_hashes_spread_evenly(self):
        hashes = hashed([" ".join(f"w{number}" for number in range(50_000))])[0]
        assert len(np.unique(hashes)) >= len(hashes) - 10
        assert hashes.min() >= 0
        assert abs(hashes.mean() / 2 ** (BITS - 1) - 1) < 0.02


class VocabularyTest(unittest.TestCase):
    def test_rare_features_are_left_out(self):
        vocabulary = Vocabulary.of(["oil oil gas"], ["A"], minimum_count=2)
        assert vocabulary.hashes.tolist() == hashed(["oil"])[0][:1].tolist()
        assert vocabulary.apply(["gas oil", "gas"]).rows.tolist() == [0]

    def test_it_survives_its_files(self):
        vocabulary = Vocabulary.of(STORIES, ["A", "B"], minimum_count=1)
        with tempfile.TemporaryDirectory() as folder:
            vocabulary.save(Path(folder))
            loaded = Vocabulary.load(Path(folder))
        assert loaded.labels == ("A", "B")
        assert np.array_equal(loaded.hashes, vocabulary.hashes)


if __name__ == "__main__":
    unittest.main()
