"""The inside of an image: what a model's `serve.py` needs.

The author writes one subclass of `Model` and, where a list or a string will not do, records derived from
`Schema`. Everything else (HTTP, limits, health, metrics) is in this room and is the same for every model.
"""

from __future__ import annotations

from sacristy.errors import InstanceRefused
from sacristy.serving.model import Classification, Contribution, Model, Schema

__all__ = ["Classification", "Contribution", "InstanceRefused", "Model", "Schema"]
