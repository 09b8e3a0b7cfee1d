"""Code execution: read a program token by token, say what it prints.

Chapter   chapters/08_programs_and_lists.ipynb
Tests     tests/test_experiments.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, section 4.2.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch

from srwm_lite.experiments.setting import Experiment, Frame, Setting, Settings, Test
from srwm_lite.programs import CodeExecution
from srwm_lite.scores import print_accuracy, whole_accuracy

MODELS = (
    "LSTM",
    "Transformer",
    "Linear Transformer",
    "DeltaNet",
    "DeltaNet, unit keys",
    "Delta RNN",
    "RDN",
    "RDN, deaf",
)
ONE = dict.fromkeys(MODELS, 1e-2)  # learning rates for one variable, and for three
THREE = {**ONE, "Transformer": 3e-3}
IFS = ("if",) * 4  # four conditions for one statement of each other kind


def setting(
    num_variables: int,
    num_statements: int,
    *,
    lr: Mapping[str, float],
    steps: int,
    batch: int = 32,
    batches: int = 10,
    frame: dict[str, int] | None = None,
    limits: dict[str, Any] | None = None,
) -> Setting:
    """Return the setting of programs of one size; `limits` are those of the task."""
    task = CodeExecution(num_variables, num_statements, **(limits or {}))
    sample = partial(task.sample, 64)
    known = task.ceilings(1000, torch.Generator().manual_seed(0))
    return Setting(
        about=(
            f"programs of {num_statements} statements over {num_variables} variables, "
            f"numbers below {task.numbers}, values from {task.low} to {task.high}, "
            f"{batch} in a batch"
        ),
        frame=Frame(task.num_in, task.num_out, **(frame or {})),
        sample=partial(task.sample, batch),
        tests={
            "prints": Test(sample, print_accuracy, batches),
            "programs": Test(sample, whole_accuracy, batches),
        },
        lr=lr,
        steps=steps,
        clip=1.0,
        warmup=0.05,
        known={name: round(x, 3) for name, x in known.items()},
    )


def quick() -> Settings:
    """Return programs of four lines, in seconds, to see that all runs."""
    small = {"d_model": 8, "d_hidden": 8}
    return {
        "3 variables": setting(3, 4, lr=ONE, steps=3, batch=4, batches=1, frame=small)
    }


def laptop() -> Settings:
    """Return what is stored: an hour on a core.

    Most statements have a condition, and values are few: what a program prints hangs
    on many values before, and can be learned in minutes.
    """
    few = {"numbers": 4, "low": 0, "high": 3}
    one: Any = {"limits": {**few, "kinds": ("assign", "print", *IFS)}}
    one["frame"] = {"num_heads": 4, "num_layers": 1}
    three: Any = {"limits": {**few, "kinds": ("assign", "step", "print", *IFS)}}
    three["frame"] = {"d_model": 64, "num_heads": 8, "d_hidden": 128}
    return {
        "1 variable": setting(1, 10, lr=ONE, steps=1000, **one),
        "3 variables": setting(3, 10, lr=THREE, steps=2000, **three),
    }


def paper() -> Settings:
    """Return the sizes of [1]: programs of 100 statements, 4 layers of width 256."""
    frame = {"d_model": 256, "num_heads": 16, "num_layers": 4, "d_hidden": 1024}
    return {
        f"{n} variables": setting(n, 100, lr=THREE, steps=30000, batch=64, frame=frame)
        for n in (3, 5)
    }


EXPERIMENT = Experiment(
    "code_execution",
    "recurrent and feed-forward slow nets execute small programs",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Every model tried the learning rates 3e-3 and 1e-2 once with seed 100, in "
        "1000 steps with one variable and in 400 with three "
        "(code_execution-rates.json); the one with the lower loss at the end of "
        "training is used. Sizes and the share of conditions were set before, in "
        "trials with RDN, the LSTM and unit keys: easy enough to be learned here, and "
        "hard for a model that does not hear itself."
    ),
)
