"""What a restore would overwrite: records of a stack that are not the backup's own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient

from sacristy.errors import StackNotEmpty
from sacristy.settings import DATABASE
from sacristy.tracking.schema import FEEDBACK

RECORDS = ("runs", "evidence", "approvals", "promotions", FEEDBACK)  # what runs and people did, and nobody does again
RAW = bson.CodecOptions(RawBSONDocument)


def refuse_foreign(client: MongoClient[dict[str, Any]], name: str, files: Mapping[str, Path]) -> None:
    """Raise StackNotEmpty unless each record that is there is the backup's own, from a restore that was interrupted.

    `files`: the backup's documents by collection. Keeps 32 bytes and an id of each record.
    """
    database = client[DATABASE].with_options(codec_options=RAW)
    for collection in RECORDS:
        there = {_digest(document): document["_id"] for document in database[collection].find({})}
        if there and collection in files:
            with files[collection].open("rb") as file:
                for document in bson.decode_file_iter(file, RAW):
                    there.pop(_digest(document), None)
        for identity in there.values():
            raise StackNotEmpty(name=name, collection=collection, id=identity)


def _digest(document: RawBSONDocument) -> bytes:
    return hashlib.sha256(document.raw).digest()
