# ruff: noqa: PT027 (no pytest in this environment)
"""What the trained and served model does. Trains without calibration folds, where the data is at hand.

cd models/reviews && python -m unittest discover tests
"""

import json
import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import data
import numpy as np
import torch
from features import Vocabulary
from fitting import calibrate, fit, stretch, unseen_scores
from network import FILE, LABELS
from scoring import calibration_error, score
from train import EXAMPLES, write

from sacristy.errors import DataMissing
from sacristy.serving import InstanceRefused

OPTIONS = {"penalty": 3e-6, "neighbours": 0.3, "steps": 60}
GOOD = "Delicious food, friendly staff, wonderful evening. I love this place and will be back!"
BAD = "Terrible service, cold food and a rude manager. The worst place, never again."


class SmallTest(unittest.TestCase):
    def setUp(self):
        texts = [f"{GOOD} {number}" for number in range(8)] + [f"{BAD} {number}" for number in range(8)]
        self.part = data.Part(texts, np.repeat([5, 4, 2, 1], 4))
        self.vocabulary = Vocabulary.of(texts, 1)
        self.inputs = self.vocabulary.apply(texts)

    def network(self):
        return fit(self.inputs, len(self.vocabulary), self.part.stars, **OPTIONS)

    def test_three_stars_are_positive(self):
        part = data.Part(["a"] * 5, np.arange(1, 6))
        assert [LABELS[label] for label in part.labels] == ["negative"] * 2 + ["positive"] * 3

    def test_the_same_data_gives_the_same_bits(self):
        contents = set()
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                self.network().save(Path(folder))
                contents.add((Path(folder) / FILE).read_bytes())
        assert len(contents) == 1

    def test_unseen_scores_come_from_other_texts(self):
        alone = np.arange(16) == 0  # the only text of its fold: a network of the other fifteen has to answer
        scores = unseen_scores(self.inputs, len(self.vocabulary), self.part.stars, folds=16, **OPTIONS)
        other = fit(self.inputs.select(~alone), len(self.vocabulary), self.part.stars[~alone], **OPTIONS)
        assert torch.equal(scores[:1], other(self.inputs.select(alone)).detach())

    def test_calibration_finds_the_line_that_was_there(self):
        chance = np.random.default_rng(2)
        scores = torch.from_numpy(chance.normal(size=50_000))
        labels = (chance.random(50_000) < torch.sigmoid(2 * scores - 1).numpy()).astype(int)
        np.testing.assert_allclose(stretch(scores, labels), [2, -1], atol=0.1)

    def test_calibration_stretches_and_shifts_the_log_odds(self):
        network, scores = self.network(), torch.tensor([-1.0, 0.5, 1.0, -0.2] * 4)
        before, (factor, shift) = network(self.inputs), stretch(scores, self.part.labels)
        calibrate(network, scores, self.part.labels)
        assert torch.allclose(network(self.inputs), before * factor + shift, atol=1e-5)

    def test_the_calibration_error_is_the_distance_from_the_promise(self):
        assert calibration_error(np.array([0.75, 0.75, 0.75, 0.75]), np.array([1, 1, 1, 0])) == 0
        found = calibration_error(np.array([0.9, 0.9, 0.2, 0.2]), np.array([1, 0, 0, 0]))
        assert math.isclose(found, 0.3)


class TrainedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.parts = data.read()
        except DataMissing as error:
            raise unittest.SkipTest(f"{error}; {error.advice}") from None
        part = cls.parts["train"]
        cls.vocabulary = Vocabulary.of(part.texts, 2)
        cls.network = fit(cls.vocabulary.apply(part.texts), len(cls.vocabulary), part.stars, **OPTIONS)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.served = write(cls.folder, cls.network, cls.vocabulary, cls.parts["heldout"])

    def answers(self, texts):
        return [self.served.encode(output) for output in self.served.predict(list(map(self.served.decode, texts)))]

    def test_parts_are_the_same_on_every_machine(self):
        sizes = {name: len(part) for name, part in self.parts.items()}
        assert sizes == {"train": 15302, "validation": 912, "heldout": 1737}

    def test_clear_reviews_get_the_right_label(self):
        assert [answer.label for answer in self.answers([GOOD, BAD])] == ["positive", "negative"]

    def test_it_has_learned_on_texts_it_has_not_seen(self):
        probabilities = torch.tensor(self.served.predict(self.parts["validation"].texts))
        assert score(probabilities, self.parts["validation"])["accuracy"] > 0.88

    def test_contributions_and_bias_add_up_to_the_log_odds(self):
        texts = [GOOD, BAD, *EXAMPLES, *self.parts["validation"].texts[:200]]
        bias = self.served.network.bias.item()
        pairs = zip(self.served.predict(texts), self.served.explain(texts), strict=True)
        for (negative, positive), contributions in pairs:
            total = sum(item.contribution for item in contributions) + bias
            assert math.isclose(total, math.log(positive / negative), abs_tol=1e-4)

    def test_the_words_that_matter_are_those_a_reader_would_name(self):
        good, bad = ({item.feature: item.contribution for item in one} for one in self.served.explain([GOOD, BAD]))
        assert min(good["delicious"], good["friendly"], good["love"]) > 0.1
        assert max(bad["terrible"], bad["worst"], bad["rude"]) < -0.1

    def test_case_and_spacing_change_no_answer(self):
        for text in EXAMPLES:
            first, *others = self.answers([text, text.upper(), f"  {text}\n"])
            assert all(other == first for other in others)

    def test_an_answer_does_not_depend_on_its_neighbours(self):
        texts = self.parts["validation"].texts[:200]
        together, alone = self.served.predict(texts), [self.served.predict([text])[0] for text in texts]
        np.testing.assert_allclose(together, alone, atol=1e-6)

    def test_half_precision_costs_next_to_nothing(self):
        texts = self.parts["validation"].texts
        exact = self.network.probabilities(self.vocabulary.apply(texts))
        np.testing.assert_allclose(self.served.predict(texts), exact, atol=0.005)

    def test_a_text_without_words_is_refused(self):
        with self.assertRaisesRegex(InstanceRefused, "at least one word"):
            self.served.decode("... !?")

    def test_golden_answers_repeat_and_hold_no_text_of_the_data(self):
        entries = json.loads((self.folder / "golden.json").read_text())
        instances = [entry["instance"] for entry in entries]
        assert [entry["prediction"] for entry in entries] == [one.model_dump() for one in self.answers(instances)]
        assert {entry["prediction"]["label"] for entry in entries} == set(LABELS)
        assert not set(instances) & {text for part in self.parts.values() for text in part.texts}

    def test_the_weights_stay_small(self):
        files = [path for path in self.folder.iterdir() if path.name not in ("golden.json", "heldout.jsonl")]
        assert sum(path.stat().st_size for path in files) < 10_000_000


if __name__ == "__main__":
    unittest.main()
