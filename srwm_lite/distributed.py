"""Several processes, one training: each takes its share of the same batch.

Chapters  whoever trains for long; first used in srwm_lite/experiments
Tests     tests/test_distributed.py

::

    torchrun --nproc_per_node=4 -m srwm_lite.experiments few_shot

Every process draws the whole batch with the same seed and keeps its share of it. The
gradients of the shares, weighted by their size, are added up over all processes: the
gradient of the whole batch up to rounding, whatever the number of processes. The loss
must be a mean over the rows of the batch, or over the targets that are not ignored.

Without torchrun there is one process, which is alone, and nothing is sent.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

IGNORED = -100  # as in srwm_lite.scores


@contextmanager
def joined() -> Iterator[None]:
    """Join the group that torchrun made, if it did, and leave it at the end.

    Tensors on a GPU travel by nccl, others by gloo.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    on_gpus = torch.cuda.is_available() and dist.is_nccl_available()
    dist.init_process_group("cpu:gloo,cuda:nccl" if on_gpus else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def world() -> int:
    """Return the number of processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def first() -> bool:
    """Say whether this is the process that writes files and speaks."""
    return not dist.is_initialized() or dist.get_rank() == 0


def wait() -> None:
    """Wait until all processes are here."""
    if world() > 1:
        dist.barrier()


def share(batch: tuple[Any, ...]) -> tuple[tuple[Any, ...], float]:
    """Return the rows of a batch that are ours, and their weight in the whole.

    Parameters
    ----------
    batch : tuple of Tensor
        The last one holds the targets, and the first axis of all is that of the rows.

    Raises
    ------
    ValueError
        If there are fewer rows than processes.
    """
    if world() == 1:
        return batch, 1.0
    if len(batch[-1]) < world():
        raise ValueError(
            f"a batch needs a row for each of {world()} processes: got "
            f"{len(batch[-1])}; use larger batches or fewer processes"
        )
    ours = [x.tensor_split(world())[dist.get_rank()] for x in batch]
    counted = [int((x != IGNORED).sum()) for x in (ours[-1], batch[-1])]
    return tuple(ours), counted[0] / counted[1]


def add_up(tensors: Iterable[Tensor]) -> None:
    """Replace every tensor by its sum over all processes, in one message."""
    parts = list(tensors)
    if world() == 1 or not parts:
        return
    message = torch.cat([x.detach().flatten() for x in parts])
    dist.all_reduce(message)
    for x, total in zip(parts, message.split([x.numel() for x in parts]), strict=True):
        x.detach().copy_(total.view_as(x))
