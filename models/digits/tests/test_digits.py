# ruff: noqa: PT027 (no pytest in this environment)
"""The model's own tests: plain unittest, so that the model's environment needs nothing more.

cd models/digits && python -m unittest discover tests
"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import data
import torch
from features import Scaling
from network import FILE
from serve import Digits
from train import fit, golden, score, write

FAST = {"epochs": 2, "batch": 64, "lr": 0.004, "seed": 1}


class DataTest(unittest.TestCase):
    def test_parts_are_the_same_on_every_machine(self):
        sizes = {name: len(part) for name, part in data.read().items()}
        assert sizes == {"train": 1274, "validation": 190, "heldout": 333}

    def test_no_picture_is_in_two_parts(self):
        parts = [{picture.tobytes() for picture in part.pixels} for part in data.read().values()]
        assert len(set.union(*parts)) == sum(map(len, parts))


class TrainedTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.parts = data.read()
        cls.scaling = Scaling.of(cls.parts["train"].pixels)
        cls.network = fit(cls.parts["train"], cls.scaling, **FAST)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        write(cls.folder, cls.network, cls.scaling, cls.parts["heldout"])

    def served(self):
        model = Digits()
        model.load(self.folder)
        return model

    def test_the_same_seed_gives_the_same_bits(self):
        again = fit(self.parts["train"], self.scaling, **FAST)
        with tempfile.TemporaryDirectory() as folder:
            again.save(Path(folder))
            assert (Path(folder) / FILE).read_bytes() == (self.folder / FILE).read_bytes()

    def test_a_training_goes_on_from_a_checkpoint_to_the_same_bits(self):
        with tempfile.TemporaryDirectory() as name:
            folder, kept = Path(name), []

            def keep(path):
                kept.append(path.rename(folder / f"{len(kept)}"))

            fit(self.parts["train"], self.scaling, keep=keep, **FAST)
            fit(self.parts["train"], self.scaling, start=kept[0], **FAST).save(folder)
            assert (folder / FILE).read_bytes() == (self.folder / FILE).read_bytes()
            with self.assertRaises(SystemExit):
                fit(self.parts["train"], self.scaling, start=kept[0], **(FAST | {"epochs": 3}))

    def test_two_epochs_learn_something(self):
        assert score(self.network, self.scaling, self.parts["heldout"])["accuracy"] > 0.8

    def test_scaling_survives_the_weights_folder(self):
        assert Scaling.load(self.folder) == self.scaling

    def test_training_and_serving_see_the_same_input(self):
        pixels = self.parts["heldout"].pixels[:3]
        expected = self.network.probabilities(self.scaling.apply(pixels))
        torch.testing.assert_close(torch.tensor(self.served().predict(pixels.tolist())), expected, check_dtype=False)

    def test_one_golden_example_for_each_label(self):
        examples = [{"instance": pixels.tolist(), "target": "7"} for pixels in self.parts["heldout"].pixels[:3]]
        assert len(golden(self.folder, examples)) == 1

    def test_an_answer_names_the_likeliest_label(self):
        answer = self.served().encode([0.0] * 9 + [1.0])
        assert answer.label == "9"
        assert abs(sum(answer.probabilities.values()) - 1.0) < 1e-9


if __name__ == "__main__":
    unittest.main()
