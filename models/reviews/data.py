"""Reviews of Yelp with their stars, split by content: a text stays in its part for ever."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sacristy import settings
from sacristy.errors import DataChanged, DataMissing

NAME = "yelp-reviews"
SOURCE = "17,951 distinct reviews of Yelp's academic data, which may not be passed on: https://www.yelp.com/dataset"
FILE = Path("yelp_reviews") / "train.csv.gz"  # columns stars, text, date and source; only the first two are used
PULLED = Path(__file__).parent / "dataset" / FILE.name  # by `sacristy data pull`
SHA256 = "bf800addbd24097968f92ac3a9fcd05a31fa5e0b9010b6ce52c0a31822423c44"
POSITIVE = 3  # stars or more
HELDOUT, VALIDATION = 25, 13  # of 256: about 10 % and 5 %, the rest is for training


@dataclass(frozen=True)
class Part:
    """`texts`, n of them as published, and `stars` [n], 1 to 5."""

    texts: list[str]
    stars: np.ndarray

    def __len__(self) -> int:
        return len(self.stars)

    @property
    def labels(self) -> np.ndarray:
        """1 where the writer gave three stars or more, else 0 [n]."""
        return (self.stars >= POSITIVE).astype(np.int64)


def read() -> dict[str, Part]:
    """Return the parts `train`, `validation` and `heldout`. Raises DataMissing or DataChanged."""
    texts, stars = _rows(_content())
    parts = np.array([part_of(text) for text in texts])
    return {name: _part(texts, stars, parts == name) for name in ("train", "validation", "heldout")}


def part_of(text: str) -> str:
    """Return the part a text belongs to, decided by its words alone: duplicates, also in other case, spacing,
    punctuation or Unicode form, fall on one side."""
    place = hashlib.sha256(_words(text).encode()).digest()[0]
    if place < HELDOUT:
        return "heldout"
    return "validation" if place < HELDOUT + VALIDATION else "train"


def _words(text: str) -> str:
    """Never change this: it decides the membership. It shares nothing with features.py, which may change.

    Normalised twice, since folding the case of a normalised text can undo the normal form.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return " ".join(re.findall(r"\w+", folded))


def _content() -> bytes:
    folder = settings.load().data
    path = PULLED if PULLED.is_file() else (folder or Path("SACRISTY_DATA")) / FILE
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror if folder else "SACRISTY_DATA is not set"
        raise DataMissing(name=NAME, path=path, reason=reason, source=SOURCE) from None
    found = hashlib.sha256(content).hexdigest()
    if found != SHA256:
        raise DataChanged(name=NAME, path=path, found=found, expected=SHA256)
    return content


def _rows(content: bytes) -> tuple[list[str], np.ndarray]:
    lines = io.StringIO(gzip.decompress(content).decode("utf-8"), newline="")
    rows = list(csv.DictReader(lines))
    return [row["text"] for row in rows], np.array([int(row["stars"]) for row in rows])


def _part(texts: list[str], stars: np.ndarray, chosen: np.ndarray) -> Part:
    return Part([texts[place] for place in np.flatnonzero(chosen)], stars[chosen])
