"""From texts to bags of words and bigrams: the same code and the same constants in training and in serving.

Words are never stored. A word is its CRC-32, a bigram a mix of its two words' values, and what training saw often
enough is a sorted list of such hashes: the row of an embedding is the place in that list. No process, machine or
PYTHONHASHSEED changes a hash, and pruning by it leaves practically no collisions (one unseen feature in 8,000).
"""

from __future__ import annotations

import html
import json
import re
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

FILE, HASHES = "features.json", "features.npy"
BITS = 31  # a hash is a positive int32
WORD = re.compile(r"\w+")
BROKEN_ENTITY = re.compile(r"&?#(\d{1,6});")  # the data set has " #39;s" for "'s"
TAG = re.compile(r"<[^<>]{0,200}>")


class Bags(NamedTuple):
    """n bags one after the other: `rows` [m] of the embedding, `offsets` [n] of each bag, `scale` [m] of each row."""

    rows: torch.Tensor
    offsets: torch.Tensor
    scale: torch.Tensor


@dataclass(frozen=True)
class Vocabulary:
    """What training keeps for serving: the classes' names, and the known features' `hashes` [n] int32, sorted."""

    labels: tuple[str, ...]
    hashes: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str], labels: Sequence[str], minimum_count: int) -> Vocabulary:
        """Return the features that occur at least `minimum_count` times in the texts."""
        found, counts = np.unique(hashed(texts)[0], return_counts=True)
        return cls(tuple(labels), found[counts >= minimum_count])

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read what `save` wrote."""
        labels = json.loads((folder / FILE).read_text())["labels"]
        return cls(tuple(labels), np.load(folder / HASHES, allow_pickle=False))

    def save(self, folder: Path) -> None:
        """Write the hashes as npy and the rest as JSON."""
        np.save(folder / HASHES, self.hashes, allow_pickle=False)
        (folder / FILE).write_text(json.dumps({"labels": self.labels, "features": len(self), "bits": BITS}))

    def __len__(self) -> int:
        return len(self.hashes)

    def apply(self, texts: Sequence[str]) -> Bags:
        """Turn n texts into the network's input; features that training did not keep are left out."""
        hashes, lengths = hashed(texts)
        rows = np.searchsorted(self.hashes, hashes).clip(max=len(self) - 1)
        known = self.hashes[rows] == hashes
        lengths = np.bincount(np.repeat(np.arange(len(texts)), lengths)[known], minlength=len(texts))
        return bags(rows[known], lengths)


def bags(rows: np.ndarray, lengths: np.ndarray) -> Bags:
    """Return bags of the given lengths; a bag's sum is scaled by 1 / sqrt(length), so that a few words say less."""
    offsets = np.cumsum(lengths) - lengths
    scale = np.repeat(1 / np.sqrt(lengths.clip(min=1)), lengths)
    return Bags(torch.from_numpy(rows), torch.from_numpy(offsets), torch.from_numpy(scale.astype(np.float32)))


def words(text: str) -> list[str]:
    """Return a text's words and numbers, folded: neither case nor Unicode form, markup or spacing tells texts apart."""
    plain = html.unescape(BROKEN_ENTITY.sub(r"&#\1;", text.replace("\\", " ")))
    return WORD.findall(unicodedata.normalize("NFKC", TAG.sub(" ", plain)).casefold())


def hashed(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of the texts' words and bigrams, text by text, and how many each has [n]."""
    lists = [words(text) for text in texts]
    counts = np.array([len(found) for found in lists], dtype=np.int64)
    codes = (zlib.crc32(word.encode()) for found in lists for word in found)
    single = _mix(np.fromiter(codes, dtype=np.uint64, count=counts.sum()) + np.uint64(1))
    text = np.repeat(np.arange(len(texts)), counts)
    inside = text[1:] == text[:-1]  # a bigram does not reach over the end of its text
    double = _mix(single[:-1] * np.uint64(0x9E3779B97F4A7C15) + single[1:])[inside]
    order = np.argsort(np.concatenate([text, text[1:][inside]]), kind="stable")
    hashes = np.concatenate([single, double])[order] >> np.uint64(64 - BITS)
    return hashes.astype(np.int32), counts + (counts - 1).clip(min=0)


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values evenly, as MurmurHash3 ends; arithmetic wraps at 2**64."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))
