"""From texts to weighted words and bigrams: the same code and the same constants in training and in serving.

Words are never stored. A word is its CRC-32, a bigram a mix of its two words' values, and what training saw often
enough is a sorted list of such hashes with one weight each. No process, machine or PYTHONHASHSEED changes a hash.
"""

from __future__ import annotations

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

FILE, HASHES, RARITY = "features.json", "features.npy", "rarity.npy"
BITS = 31  # a hash is a positive int32
TOKEN = re.compile(r"\w[\w']*|[!?]")  # "don't" is one word; marks of emotion count as words


class Grams(NamedTuple):
    """m occurrences of words and bigrams: their `hashes` [m], the `text` [m] each stands in, and the places of its
    `first` [m] and `last` [m] word among all the texts' words."""

    hashes: np.ndarray
    text: np.ndarray
    first: np.ndarray
    last: np.ndarray


class Bags(NamedTuple):
    """`size` texts: the `text` [m] that each of m entries belongs to, ascending, its known feature's `row` [m] and
    its `value` [m]."""

    size: int
    text: torch.Tensor
    row: torch.Tensor
    value: torch.Tensor

    def select(self, chosen: np.ndarray) -> Bags:
        """Return the texts where `chosen` [size] bool holds, in the same order."""
        kept = torch.from_numpy(chosen)
        inside = kept[self.text]
        text = (kept.cumsum(0) - 1)[self.text[inside]]
        return Bags(int(chosen.sum()), text, self.row[inside], self.value[inside])


@dataclass(frozen=True)
class Vocabulary:
    """The known features' `hashes` [n] int32, sorted, and their `rarity` [n] float32, the rarer the larger."""

    hashes: np.ndarray
    rarity: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str], minimum_count: int) -> Vocabulary:
        """Return the features that stand in at least `minimum_count` of the texts."""
        found = grams([words(text) for text in texts])
        distinct = np.unique((found.text << BITS) | found.hashes)
        hashes, counts = np.unique(distinct & ((1 << BITS) - 1), return_counts=True)
        kept = counts >= minimum_count
        rarity = np.log((1 + len(texts)) / (1 + counts[kept])) + 1
        return cls(hashes[kept].astype(np.int32), rarity.astype(np.float32))

    @classmethod
    def load(cls, folder: Path) -> Vocabulary:
        """Read what `save` wrote."""
        return cls(*(np.load(folder / name, allow_pickle=False) for name in (HASHES, RARITY)))

    def save(self, folder: Path) -> None:
        """Write the arrays as npy, and what they are as JSON."""
        np.save(folder / HASHES, self.hashes, allow_pickle=False)
        np.save(folder / RARITY, self.rarity, allow_pickle=False)
        (folder / FILE).write_text(json.dumps({"features": len(self), "bits": BITS}))

    def __len__(self) -> int:
        return len(self.hashes)

    def apply(self, texts: Sequence[str]) -> Bags:
        """Turn n texts into bags of length 1: repeats count by their logarithm, unknown features not at all."""
        text, rows, values, *_ = self._weigh(grams([words(one) for one in texts]), len(texts))
        return Bags(len(texts), *(torch.from_numpy(one) for one in (text, rows, values)))

    def contributions(self, texts: Sequence[str], weights: np.ndarray) -> list[dict[str, float]]:
        """Return what each distinct word of each text adds to the sum of `weights` [features] times values.

        A bigram's part is shared evenly by its two words, and a repeated feature's by its occurrences, so a text's
        contributions add up to exactly that sum.
        """
        lists = [words(text) for text in texts]
        found = grams(lists)
        _, rows, values, known, place, counts = self._weigh(found, len(texts))
        half = (weights[rows] * values / counts)[place] / 2
        size = sum(map(len, lists))
        shares = np.bincount(found.first[known], half, size) + np.bincount(found.last[known], half, size)
        return list(_summed(lists, shares.tolist()))

    def _weigh(self, found: Grams, texts: int) -> tuple[np.ndarray, ...]:
        """Return text, row and value [k] of each distinct known feature; which occurrences [m] are known; and for
        those their place among the k, and how many each of the k has."""
        rows = np.searchsorted(self.hashes, found.hashes).clip(max=len(self) - 1)
        known = self.hashes[rows] == found.hashes
        keys, place, counts = np.unique(
            found.text[known] * len(self) + rows[known], return_inverse=True, return_counts=True
        )
        text, rows = np.divmod(keys, len(self))
        values = (1 + np.log(counts)) * self.rarity[rows]
        length = np.sqrt(np.bincount(text, values**2, minlength=texts))
        return text, rows, (values / length[text]).astype(np.float32), known, place, counts


def words(text: str) -> list[str]:
    """Return a text's words, numbers, exclamation and question marks, folded: neither case nor Unicode form tells
    texts apart."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return TOKEN.findall(folded.replace("\u2019", "'"))


def grams(lists: Sequence[Sequence[str]]) -> Grams:
    """Return all words of the texts, then all bigrams; no bigram reaches over the end of its text."""
    counts = np.array([len(found) for found in lists], dtype=np.int64)
    codes = (zlib.crc32(word.encode()) for found in lists for word in found)
    single = _mix(np.fromiter(codes, dtype=np.uint64, count=counts.sum()) + np.uint64(1))
    text, place = np.repeat(np.arange(len(lists)), counts), np.arange(len(single))
    inside = place[1:][text[1:] == text[:-1]]  # where a bigram ends
    double = _mix(single[inside - 1] * np.uint64(0x9E3779B97F4A7C15) + single[inside])
    hashes = (np.concatenate([single, double]) >> np.uint64(64 - BITS)).astype(np.int64)
    first, last = np.concatenate([place, inside - 1]), np.concatenate([place, inside])
    return Grams(hashes, np.concatenate([text, text[inside]]), first, last)


def _summed(lists, shares):
    begin = 0
    for found in lists:
        total = dict.fromkeys(found, 0.0)
        for word, share in zip(found, shares[begin:], strict=False):
            total[word] += share
        begin += len(found)
        yield total


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread 64-bit values evenly, as MurmurHash3 ends; arithmetic wraps at 2**64."""
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        values = (values ^ (values >> np.uint64(33))) * np.uint64(factor)
    return values ^ (values >> np.uint64(33))
