"""Data parallel training as docs/how-to/workers.md shows it: each rank has its share of every batch."""

import os
import sys
import tempfile
import time
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import distributed, nn

import sacristy
from sacristy import tracking, weights

ex = sacristy.experiment("choir")
ROWS = 48


@ex.config
def config():
    epochs = 4  # noqa: F841
    batch = 12  # noqa: F841 - of all ranks together
    lr = 0.05  # noqa: F841
    stands_at = 0  # noqa: F841 - the epoch after which it goes on no further, if it began at the beginning
    breaks = -1  # noqa: F841 - the rank that breaks where the others stand still


def points():
    """Return inputs and targets, the same for every rank."""
    drawn = torch.Generator().manual_seed(7)
    inputs = torch.randn(ROWS, 3, generator=drawn, dtype=torch.float64)
    return inputs, inputs @ torch.tensor([[1.0], [-2.0], [0.5]], dtype=torch.float64) + 3.0


@ex.automain
def main(_run, epochs, batch, lr, stands_at, breaks, seed):
    together = "RANK" in os.environ  # else it was started alone: python train.py
    if together:
        distributed.init_process_group("gloo")
    rank, ranks = (distributed.get_rank(), distributed.get_world_size()) if together else (0, 1)
    torch.manual_seed(seed)
    line = nn.Linear(3, 1, dtype=torch.float64)
    start = tracking.parent_checkpoint()
    done = 0
    if start:
        state = load_file(start)
        done = int(state.pop("epoch"))
        line.load_state_dict(state)
    model = nn.parallel.DistributedDataParallel(line) if together else line
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    inputs, targets = points()
    print(f"rank {rank} of {ranks} with seed {seed}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "model.safetensors"
        for epoch in range(done + 1, epochs + 1):
            for rows in torch.arange(ROWS).split(batch):
                mine = rows[rank::ranks]
                loss = nn.functional.mse_loss(model(inputs[mine]), targets[mine])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            _run.log_scalar("loss", loss.item(), epoch)
            save_file(line.state_dict() | {"epoch": torch.tensor(epoch)}, path)
            tracking.checkpoint(_run, path)
            print(f"epoch {epoch} at rank {rank}")
            while epoch == stands_at and not start:
                if rank == breaks:
                    print("out of tune", file=sys.stderr)
                    sys.exit(7)
                time.sleep(0.05)
        save_file(line.state_dict(), path)
        weights.save(_run, name)
    if together:
        distributed.destroy_process_group()
    return {"weight": line.weight.tolist(), "bias": line.bias.item(), "ranks": ranks}
