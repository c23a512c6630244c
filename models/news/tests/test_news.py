# ruff: noqa: PT027 (no pytest in this environment)
"""What the trained and served model does. Trains for two epochs (about ten seconds), where the data is at hand.

cd models/news && python -m unittest discover tests
"""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import data
import numpy as np
import torch
from features import Vocabulary
from network import FILE
from serve import News
from train import calibrate, fit, score, select, write

from sacristy.errors import DataMissing
from sacristy.serving import InstanceRefused

OPTIONS = {"batch": 256, "lr": 0.005, "decay": 0.3, "smoothing": 0.15, "width": 4, "seed": 1}
CLEAR = {
    "World": "Prime minister and rebels sign a ceasefire after the bombing killed soldiers in the capital of Iraq",
    "Sports": "Striker scores twice as United beat Chelsea in the cup final; coach praises the team's season",
    "Business": "Shares fall on Wall Street as crude oil prices rise and quarterly profit misses analysts' forecasts",
    "Sci/Tech": "Microsoft releases a security patch for Windows software while researchers launch a new web browser",
}


class SmallTest(unittest.TestCase):
    def setUp(self):
        self.part = data.Part(list(CLEAR.values()) * 8, np.arange(32) % 4)
        self.vocabulary = Vocabulary.of(self.part.texts, data.LABELS, 1)

    def test_the_same_seed_gives_the_same_bits(self):
        contents = set()
        for _ in range(2):
            with tempfile.TemporaryDirectory() as folder:
                fit(self.part, self.vocabulary, epochs=2, **OPTIONS).save(Path(folder))
                contents.add((Path(folder) / FILE).read_bytes())
        assert len(contents) == 1

    def test_selected_bags_are_those_of_the_selected_texts(self):
        chosen = select(self.vocabulary.apply(self.part.texts), np.array([3, 0, 30]))
        expected = self.vocabulary.apply([self.part.texts[place] for place in (3, 0, 30)])
        assert all(torch.equal(one, other) for one, other in zip(chosen, expected, strict=True))

    def test_calibration_changes_no_label(self):
        network = fit(self.part, self.vocabulary, epochs=2, **OPTIONS)
        inputs = self.vocabulary.apply(self.part.texts)
        before = network.probabilities(inputs)
        calibrate(network, inputs, self.part.labels)
        after = network.probabilities(inputs)
        assert torch.equal(before.argmax(dim=1), after.argmax(dim=1))
        assert score(after, self.part.labels)["loss"] <= score(before, self.part.labels)["loss"]


class TrainedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            cls.parts = data.read()
        except DataMissing as error:
            raise unittest.SkipTest(f"{error}; {error.advice}") from None
        cls.vocabulary = Vocabulary.of(cls.parts["train"].texts, data.LABELS, 2)
        cls.network = fit(cls.parts["train"], cls.vocabulary, epochs=2, **OPTIONS)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        write(cls.folder, cls.network, cls.vocabulary, cls.parts["heldout"])
        cls.served = News()
        cls.served.load(cls.folder)

    def answers(self, texts):
        return [self.served.encode(output) for output in self.served.predict(list(map(self.served.decode, texts)))]

    def test_parts_are_the_same_on_every_machine(self):
        sizes = {name: len(part) for name, part in self.parts.items()}
        assert sizes == {"train": 62212, "validation": 3753, "heldout": 7059}

    def test_clear_sentences_get_the_right_topic(self):
        assert [answer.label for answer in self.answers(CLEAR.values())] == list(CLEAR)

    def test_it_has_learned_on_texts_it_has_not_seen(self):
        part = self.parts["heldout"]
        assert score(torch.tensor(self.served.predict(part.texts)), part.labels)["accuracy"] > 0.9

    def test_case_and_punctuation_change_no_answer(self):
        for text in CLEAR.values():
            first, *others = self.answers([text, text.upper(), f"  {text}!"])
            assert all(other == first for other in others)

    def test_an_answer_does_not_depend_on_its_neighbours(self):
        texts = self.parts["heldout"].texts[:200]
        together, alone = self.served.predict(texts), [self.served.predict([text])[0] for text in texts]
        np.testing.assert_allclose(together, alone, atol=1e-6)

    def test_half_precision_costs_next_to_nothing(self):
        texts = self.parts["heldout"].texts[:500]
        exact = self.network.probabilities(self.vocabulary.apply(texts))
        np.testing.assert_allclose(self.served.predict(texts), exact, atol=0.005)

    def test_a_text_of_unknown_words_is_answered_without_confidence(self):
        (answer,) = self.answers(["qwzx vbnq jjkq"])
        assert max(answer.probabilities.values()) < 0.5

    def test_a_text_without_words_is_refused(self):
        with self.assertRaisesRegex(InstanceRefused, "at least one word"):
            self.served.decode("... !")

    def test_golden_answers_cover_every_label_and_repeat(self):
        golden = json.loads((self.folder / "golden.json").read_text())
        assert [entry["prediction"] for entry in golden] == [
            answer.model_dump() for answer in self.answers([entry["instance"] for entry in golden])
        ]
        assert len(golden) == len(data.LABELS)

    def test_the_weights_stay_small(self):
        files = [path for path in self.folder.iterdir() if path.name not in ("golden.json", "heldout.jsonl")]
        assert sum(path.stat().st_size for path in files) < 4_000_000


if __name__ == "__main__":
    unittest.main()
