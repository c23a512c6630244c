"""Runs into MongoDB, without loss: see README.md. Nothing here loads Sacred or pymongo before it is needed."""

from __future__ import annotations

from sacristy.tracking.checkpoints import checkpoint, parent_checkpoint
from sacristy.tracking.notes import log_data, note

__all__ = ["checkpoint", "log_data", "note", "parent_checkpoint"]
