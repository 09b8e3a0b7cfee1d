"""Formal languages: what each model can compute, and whether it lasts for longer words.

Chapter   chapters/09_state_tracking.ipynb
Tests     tests/test_experiments.py
Sources   [1] Irie, Csordás & Schmidhuber (2023), arXiv:2310.16076.
          [2] Grazzi et al. (2025), arXiv:2411.12537 (beta up to two).
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from srwm_lite.experiments.setting import Experiment, Frame, Setting, Settings, Test
from srwm_lite.formal_languages import LANGUAGES, FormalLanguage
from srwm_lite.scores import whole_accuracy

RATES = {
    "LSTM": 1e-2,
    "Transformer": 3e-3,
    "Linear Transformer": 1e-2,
    "DeltaNet": 3e-3,
    "DeltaNet, unit keys": 1e-2,
    "DeltaNet, beta to 2": 1e-2,
    "Delta RNN": 3e-3,
    "RDN": 1e-2,
    "RDN, deaf": 3e-3,
}
TWICE = ("Transformer", "Linear Transformer", "DeltaNet", "DeltaNet, unit keys")
BINS = (4, 2, 1)  # how much longer than in training; the headline first


def setting(
    name: str,
    *,
    high: int,
    steps: int,
    models: Sequence[str] = tuple(RATES),
    num_layers: int = 1,
    batch: int = 64,
    batches: int = 10,
) -> Setting:
    """Return the setting of one language: trained on words of up to `high` symbols."""
    task = FormalLanguage(name, 2, high)
    tests: dict[str, Test] = {}
    for times in BINS:
        longer = task.longer(times)
        lengths = f"{longer.low}-{longer.high}"
        sample = partial(longer.sample, 64)
        tests[f"symbols {lengths}"] = Test(sample, batches=batches)
        tests[f"words {lengths}"] = Test(sample, whole_accuracy, batches)
    return Setting(
        about=f"words of {task.low} to {high} symbols of {name}, {batch} in a batch",
        frame=Frame(task.num_in, task.num_out, num_layers=num_layers),
        sample=partial(task.sample, batch),
        tests=tests,
        lr={name: RATES[name] for name in models},
        steps=steps,
        clip=1.0,
        warmup=0.05,
        stop=1e-5,
        known={"this symbol only": round(task.longer(BINS[0]).ceiling, 3)},
    )


def quick() -> Settings:
    """Return parity in seconds, to see that all runs."""
    return {"parity": setting("parity", high=6, steps=3, batch=4, batches=1)}


def laptop() -> Settings:
    """Return what is stored: half an hour on a core."""
    sizes: Any = {"high": 20, "steps": 1500}
    others = [model for model in RATES if model != "RDN, deaf"]
    return {
        "parity": setting("parity", **sizes),
        "(aa)*": setting("(aa)*", models=others, **sizes),
        "reset Dyck-1": setting("reset Dyck-1", models=others, **sizes),
        "counter-2": setting("counter-2", models=others, **sizes),
        "parity, two layers": setting("parity", models=TWICE, num_layers=2, **sizes),
    }


def paper() -> Settings:
    """Return all languages, words of up to 50 symbols as in [1]."""
    sizes: Any = {"high": 50, "steps": 20000, "num_layers": 2}
    return {name: setting(name, **sizes) for name in LANGUAGES}


EXPERIMENT = Experiment(
    "state_tracking",
    "eight models read formal languages, and words up to four times longer",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Every model tried the learning rates 3e-3 and 1e-2 on parity, once each, with "
        "seed 100 (state_tracking-rates.json); the one with the lower loss at the end "
        "of training is used for all languages. Steps, width and one layer were set "
        "before, on parity, with the LSTM and the DeltaNets."
    ),
)
