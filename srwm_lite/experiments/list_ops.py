"""Sequential ListOps: read a nested list from left to right, say its value at the end.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_experiments.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, section 4.2.
"""

from functools import partial

import torch

from srwm_lite.experiments.setting import Experiment, Frame, Setting, Settings, Test
from srwm_lite.list_ops import ListOps

RATES = {
    "LSTM": 1e-2,
    "Transformer": 3e-3,
    "Linear Transformer": 3e-3,
    "DeltaNet": 1e-2,
    "DeltaNet, unit keys": 1e-2,
    "Delta RNN": 1e-2,
    "RDN": 3e-3,
    "RDN, deaf": 3e-3,
}


def setting(
    depth: int,
    *,
    steps: int,
    batch: int = 64,
    batches: int = 10,
    frame: dict[str, int] | None = None,
) -> Setting:
    """Return the setting of one depth; deeper lists are asked as well."""
    task = ListOps(depth)
    asked = {f"depth {d}": ListOps(d) for d in (depth, depth + 1, 2 * depth)}
    known = task.ceilings(2000, torch.Generator().manual_seed(0))
    return Setting(
        about=f"lists of depth {depth}, {batch} in a batch",
        frame=Frame(task.num_in, task.num_out, **(frame or {})),
        sample=partial(task.sample, batch),
        tests={
            name: Test(partial(lists.sample, 200), batches=batches)
            for name, lists in asked.items()
        },
        lr=RATES,
        steps=steps,
        clip=1.0,
        warmup=0.05,
        known={name: round(x, 3) for name, x in known.items()},
    )


def quick() -> Settings:
    """Return lists in one another, in seconds, to see that all runs."""
    small = {"d_model": 8, "d_hidden": 8}
    return {"depth 2": setting(2, steps=3, batch=4, batches=1, frame=small)}


def laptop() -> Settings:
    """Return what is stored: less than an hour on a core."""
    frame = {"d_model": 64, "num_heads": 8, "d_hidden": 128}
    return {"depth 3": setting(3, steps=1500, frame=frame)}


def paper() -> Settings:
    """Return the sizes of [1]: depth 10 and 15, 4 layers of width 256."""
    frame = {"d_model": 256, "num_heads": 16, "num_layers": 4, "d_hidden": 1024}
    return {
        f"depth {depth}": setting(depth, steps=30000, frame=frame) for depth in (10, 15)
    }


EXPERIMENT = Experiment(
    "list_ops",
    "recurrent and feed-forward slow nets find the value of nested lists",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Every model tried the learning rates 3e-3 and 1e-2 once, in 400 steps with "
        "seed 100 (list_ops-rates.json); the one with the lower loss at the end of "
        "training is used. Width, heads and batch were set before."
    ),
)
