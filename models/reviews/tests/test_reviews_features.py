# ruff: noqa: RUF001 (letters that look like others are what is tested)
"""Weighted words and bigrams: the same for one text and for many, in every process."""

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
import torch
from features import Vocabulary, grams, words

STORIES = ["Not good, not good at all!", "Zürich's café", "", "one", "good good good", "... ?"]


def hashed(text):
    return grams([words(text)]).hashes.tolist()


class WordsTest(unittest.TestCase):
    def test_words_are_folded_and_marks_of_emotion_stay(self):
        assert words("DON’T go! It's, well... why?") == ["don't", "go", "!", "it's", "well", "why", "?"]

    def test_case_spacing_and_unicode_forms_change_nothing(self):
        for text in STORIES:
            twins = [text.upper(), f"\t{text}  ", text.replace(" ", "\n")]
            twins += [unicodedata.normalize(form, text) for form in ("NFC", "NFD", "NFKC", "NFKD")]
            for twin in twins:
                assert words(twin) == words(text), twin


class GramsTest(unittest.TestCase):
    def test_n_words_give_n_words_and_one_bigram_less(self):
        found = grams([["a", "b", "c"], ["a"], []])
        assert np.bincount(found.text, minlength=3).tolist() == [5, 1, 0]

    def test_each_occurrence_knows_its_words(self):
        found = grams([["a", "b"], ["c", "d"]])
        assert found.first.tolist() == [0, 1, 2, 3, 0, 2]
        assert found.last.tolist() == [0, 1, 2, 3, 1, 3]

    def test_the_order_of_two_words_counts(self):
        assert set(hashed("not good")) != set(hashed("good not"))

    def test_hashes_never_change(self):
        assert hashed("oil prices") == [736483799, 1785308327, 571262654]

    def test_hashes_are_the_same_in_another_process_with_another_seed(self):
        program = "from features import grams, words; print(grams([words('never again')]).hashes.tolist())"
        environment = os.environ | {"PYTHONHASHSEED": "99"}
        folder = Path(__file__).resolve().parents[1]
        found = subprocess.check_output([sys.executable, "-c", program], cwd=folder, env=environment, text=True)
        assert found.strip() == str(hashed("never again"))


class VocabularyTest(unittest.TestCase):
    def setUp(self):
        self.vocabulary = Vocabulary.of(STORIES, minimum_count=1)

    def test_features_of_too_few_texts_are_left_out(self):
        vocabulary = Vocabulary.of(["good good food", "good room"], minimum_count=2)
        assert vocabulary.hashes.tolist() == hashed("good")

    def test_a_rarer_feature_weighs_more(self):
        vocabulary = Vocabulary.of(["good food", "good room", "good"], minimum_count=1)
        rarity = dict(zip(vocabulary.hashes.tolist(), vocabulary.rarity.tolist(), strict=True))
        assert rarity[hashed("food")[0]] > rarity[hashed("good")[0]]

    def test_a_batch_gives_what_its_texts_give_alone(self):
        chance = random.Random(3)
        for _ in range(50):
            texts = chance.choices(STORIES, k=chance.randint(1, 8))
            together = self.vocabulary.apply(texts)
            for place, text in enumerate(texts):
                one, alone = together.select(np.arange(len(texts)) == place), self.vocabulary.apply([text])
                assert all(torch.equal(left, right) for left, right in zip(one[1:], alone[1:], strict=True))

    def test_every_known_text_has_length_one(self):
        bags = self.vocabulary.apply(STORIES)
        lengths = torch.zeros(bags.size).index_add(0, bags.text, bags.value**2)
        np.testing.assert_allclose(lengths[[0, 1, 3, 4, 5]], 1, atol=1e-5)
        assert lengths[2] == 0

    def test_contributions_add_up_to_the_weighted_sum(self):
        weights = np.random.default_rng(1).normal(size=len(self.vocabulary))
        bags = self.vocabulary.apply(STORIES)
        sums = torch.zeros(bags.size).index_add(0, bags.text, torch.from_numpy(weights).float()[bags.row] * bags.value)
        found = self.vocabulary.contributions(STORIES, weights)
        np.testing.assert_allclose([sum(one.values()) for one in found], sums, atol=1e-5)

    def test_every_distinct_word_is_named_once_and_unknown_ones_add_nothing(self):
        (found,) = self.vocabulary.contributions(["good qwzx good"], np.ones(len(self.vocabulary)))
        assert list(found) == ["good", "qwzx"]
        assert found["qwzx"] == 0

    def test_it_survives_its_files(self):
        with tempfile.TemporaryDirectory() as folder:
            self.vocabulary.save(Path(folder))
            loaded = Vocabulary.load(Path(folder))
        assert np.array_equal(loaded.hashes, self.vocabulary.hashes)
        assert np.array_equal(loaded.rarity, self.vocabulary.rarity)


if __name__ == "__main__":
    unittest.main()
