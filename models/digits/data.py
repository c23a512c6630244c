"""The UCI digits that ship inside scikit-learn, split by content: a picture stays in its part for ever."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sklearn
from sklearn.datasets import load_digits

NAME = "uci-digits"
FILE = Path(sklearn.__file__).parent / "datasets" / "data" / "digits.csv.gz"
SHA256 = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"
HELDOUT, VALIDATION = 51, 26  # of 256: about 20 % and 10 %, the rest is for training


@dataclass(frozen=True)
class Part:
    """`pixels` [n, 64], whole numbers from 0 (paper) to 16 (ink), row by row; `labels` [n], 0 to 9."""

    pixels: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def read() -> dict[str, Part]:
    """Return the parts `train`, `validation` and `heldout`. Raises ValueError if the shipped file is another one."""
    if hashlib.sha256(FILE.read_bytes()).hexdigest() != SHA256:
        raise ValueError(f"{FILE} is not the file this model was made for")
    bunch = load_digits()
    pixels, labels = bunch.data.astype(np.uint8), bunch.target.astype(np.int64)
    parts = np.array([part_of(picture) for picture in pixels])
    return {name: Part(pixels[parts == name], labels[parts == name]) for name in ("train", "validation", "heldout")}


def part_of(picture: np.ndarray) -> str:
    """Return the part a picture belongs to, decided by the hash of its pixels alone."""
    place = hashlib.sha256(picture.tobytes()).digest()[0]
    if place < HELDOUT:
        return "heldout"
    return "validation" if place < HELDOUT + VALIDATION else "train"
