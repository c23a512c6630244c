"""AG's News, four topics (Zhang, Zhao and LeCun 2015), split by content: a text stays in its part for ever."""

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

NAME = "ag-news"
SOURCE = "AG's News topic classification, part of the training rows; Zhang, Zhao and LeCun 2015, arXiv:1509.01626"
FILE = Path("ag_news") / "train_subset.csv.gz"  # columns class_index and text; text = title, space, description
PULLED = Path(__file__).parent / "dataset" / FILE.name  # by `sacristy data pull`
SHA256 = "d32a8a4d105ef0ac869f1a5d2dbdb5e9199d593380ad3e8459f4326345c930a3"
LABELS = ("World", "Sports", "Business", "Sci/Tech")  # the data set's own names, in the order of class_index
HELDOUT, VALIDATION = 25, 13  # of 256: about 10 % and 5 %, the rest is for training


@dataclass(frozen=True)
class Part:
    """`texts`, n of them as published, and `labels` [n], 0 to 3: places in LABELS."""

    texts: list[str]
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def read() -> dict[str, Part]:
    """Return the parts `train`, `validation` and `heldout`. Raises DataMissing or DataChanged."""
    texts, labels = _rows(_content())
    parts = np.array([part_of(text) for text in texts])
    return {name: _part(texts, labels, parts == name) for name in ("train", "validation", "heldout")}


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
    return [row["text"] for row in rows], np.array([int(row["class_index"]) - 1 for row in rows])


def _part(texts: list[str], labels: np.ndarray, chosen: np.ndarray) -> Part:
    return Part([texts[place] for place in np.flatnonzero(chosen)], labels[chosen])
