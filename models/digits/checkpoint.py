"""A training on its way: all that it needs to go on as if it had never stopped, in one safetensors file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file

NAME = "training.safetensors"


def save(path: Path, epoch: int, network: Any, optimizer: Any, schedule: Any) -> None:
    """Write the state after an epoch: weights, the optimizer's moments, the schedule, the random numbers to come."""
    moments = optimizer.state_dict()
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    for number, state in moments["state"].items():
        tensors |= {f"optimizer/{number}/{name}": value for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    told = {"groups": moments["param_groups"], "schedule": schedule.state_dict()}
    save_file(tensors, path, {"epoch": str(epoch), **{name: json.dumps(value) for name, value in told.items()}})


def load(path: Path, network: Any, optimizer: Any, schedule: Any) -> int:
    """Put a state back and return the epoch after which it was saved. The configuration must be the same as then."""
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        told = file.metadata()
    before = json.loads(told["schedule"])
    if before["total_steps"] != schedule.total_steps:
        raise SystemExit(
            f"the checkpoint is of a training of {before['total_steps']} steps, not of {schedule.total_steps}: "
            "go on with the same epochs and batch"
        )
    network.load_state_dict({name.removeprefix("network/"): tensors[name] for name in tensors if "network/" in name})
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer/"):
            _, number, key = name.split("/")
            state.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": json.loads(told["groups"])})
    schedule.load_state_dict(before)
    torch.set_rng_state(tensors["random"])
    return int(told["epoch"])
