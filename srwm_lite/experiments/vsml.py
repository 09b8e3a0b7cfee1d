"""Learn to learn online: VSML and its rivals on problems they have never met.

Chapter   chapters/14_vsml.ipynb
Tests     tests/test_experiments_vsml.py
Sources   [1] Kirsch & Schmidhuber (2021), arXiv:2012.14905, section 4 and appendix.

Every model is a learner: it answers, is told, goes on. Training (of the numbers that
all problems share) is on streams of one family or of several; the tests are streams of
other families, sizes and pictures.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from torch import nn

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.evolution import evolution_loss
from srwm_lite.experiments.families import (
    ENDS,
    FAMILIES,
    GAUSSIAN,
    LENGTH,
    REAL,
    SAME_SIZE,
    I,
    O,
    draw,
    fetched,
    many,
    parts,
    pictures,
    real,
    some,
)
from srwm_lite.experiments.setting import Experiment, Setting, Settings, Test
from srwm_lite.experiments.shown import Named, means, series
from srwm_lite.experiments.store import Record
from srwm_lite.feature_maps import unit_norm
from srwm_lite.models import LSTM
from srwm_lite.online_learners import (
    ClassMeans,
    FastWeightLearner,
    HebbianNet,
    MetaRNN,
    OnlineAdam,
    OnlineSGD,
)
from srwm_lite.online_tasks import Gaussian
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, online_loss

MOST = (64, 10)  # inputs and classes of nets that are filled up with zeros
BATCH, STEPS = 8, 1500
SHIFT: dict[str, Any] = {"input_shift": -2.0}  # with the -5 of [1] it takes longer

LEARNERS: dict[str, Any] = {
    "VSML": lambda: VSML(SubRNN(**SHIFT)),
    "VSML, shift -5": VSML,
    "VSML, hidden layer": lambda: VSML(SubRNN(**SHIFT), hidden=(8,)),
    "VSML, own weights": lambda: VSML(SubRNN(grid=(I, O), **SHIFT)),
    "Meta RNN": partial(MetaRNN, I, O),
    "Meta RNN, reminded": partial(FastWeightLearner, *MOST, layer=LSTM),
    "Hebbian": partial(HebbianNet, *MOST, oja=True),
    "DeltaNet": partial(
        FastWeightLearner, *MOST, layer=partial(DeltaNet, feature_map=unit_norm)
    ),
    "class means": ClassMeans,
    "SGD": OnlineSGD,
    "SGD, rate by inputs": partial(OnlineSGD, rate=1.0, per_input=True),
    "SGD, hidden layer": partial(OnlineSGD, 160),
    "Adam": partial(OnlineAdam, rate=1e-2),
}
FIXED = ["VSML, own weights", "Meta RNN"]
EVERYONE = [name for name in LEARNERS if name not in FIXED]
NETS = ["VSML", "VSML, shift -5", "Meta RNN, reminded", "DeltaNet"]
QUICK = ["Hebbian", "class means", "SGD", "SGD, rate by inputs"]
QUICK += ["SGD, hidden layer", "Adam"]
RATES = {
    **dict.fromkeys([name for name in LEARNERS if "VSML" in name], 1e-2),
    **dict.fromkeys((*NETS[2:], "Meta RNN", "Hebbian"), 3e-3),
    **dict.fromkeys(QUICK[1:], 3e-2),
}


def made(make: Any) -> nn.Module:
    """Return a new learner: there is no frame around it."""
    return make()


def setting(
    about: str,
    models: Sequence[str],
    tests: Mapping[str, Test],
    *,
    task: Callable[[], Any] = GAUSSIAN,
    batch: int = BATCH,
    length: int = LENGTH,
    **options: Any,
) -> Setting:
    """Return a setting in which these learners meet a family in training."""
    usual: Any = {"steps": STEPS, "loss": online_loss, "warmup": 0.01, "clip": 1.0}
    usual["lr"] = {name: RATES[name] for name in models}
    return Setting(
        about=f"{about}; {batch} streams of {length} examples in a batch",
        frame=made,
        sample=partial(draw, task=task, batch=batch, length=length),
        tests=tests,
        layers=LEARNERS,
        **{**usual, **options},
    )


def evolved(pairs: int) -> dict[str, Any]:
    """Return what makes a setting learn by evolution strategies, as in [1]."""
    loss = partial(evolution_loss, pairs=pairs, sigma=0.05, ranks=True)
    return {"loss": loss, "clip": None, "lr": {"VSML": 0.025}}


SMALL = partial(Gaussian, 8, 3, 25, noise=0.5)
EVOLUTION: dict[str, Any] = {"task": SMALL, "length": 25, "steps": 600, **evolved(128)}


def quick() -> Settings:
    """Return every model for a few steps, in seconds, to see that all runs."""
    few: Any = {"ends": (1, 2, 4), "streams": 3}
    small: Any = {"batch": 2, "steps": 3}
    mixed: Any = {"task": many, **small}
    alone = some(*SAME_SIZE, **few)
    return {
        "one family": setting("Gaussian", EVERYONE, some(**few), **small),
        "fixed size": setting("Gaussian", FIXED, alone, **small),
        "many families": setting("several", ["VSML"], some(**few), **mixed),
        "evolution": setting(
            "Gaussian", ["VSML"], some(**few), **small, **evolved(pairs=2)
        ),
    }


def laptop() -> Settings:
    """Return what is stored: each training takes ten seconds to six minutes.

    What tunes two numbers needs few steps; that is why gradient descent and Hebb have
    settings of their own, with the same problems and tests.
    """
    tests, one = some(), "Gaussian problems"
    several: Any = {"task": many, "batch": 4, "length": 200, "ready": fetched}
    about, asked_for = (
        "three families in seven sizes, none of pictures",
        {**tests, **real()},
    )
    teacher: Any = {"task": FAMILIES["linear teacher"], "steps": 2000}
    return {
        "one family": setting(one, NETS, tests, steps=3000),
        "one family, 500 steps": setting(one, QUICK, tests, steps=500),
        "many families": setting(about, ["VSML"], asked_for, steps=2000, **several),
        "many families, 300 steps": setting(
            about, QUICK[1:], asked_for, steps=300, **several
        ),
        "teacher": setting("linear teachers", ["VSML", "SGD"], tests, **teacher),
        "evolution": setting("small Gaussian problems", ["VSML"], tests, **EVOLUTION),
        "hidden layer": setting(one, ["VSML, hidden layer"], tests),
        "fixed size": setting(one, FIXED[:1], some(*SAME_SIZE), steps=2000),
        "Meta RNN": setting(one, FIXED[1:], some(*SAME_SIZE), batch=16, steps=6000),
    }


def paper() -> Settings:
    """Return the sizes of [1]: MNIST in training, streams of 500, 28 x 28 pixels."""
    task = partial(pictures, "mnist", "train", 28, 10, projected=True)
    tests = real(streams=32)
    long: Any = {"task": task, "length": 500, "ready": fetched}
    by: Any = {"batch": 1, "steps": 10_001, **evolved(pairs=512)}
    slope: Any = {"batch": 128, "steps": 10_001, "lr": {"VSML": 1e-3}, "clip": 25.0}
    return {
        "evolution": setting("MNIST", ["VSML"], tests, **{**long, **by}),
        "gradient": setting("MNIST", ["VSML"], tests, **{**long, **slope}),
    }


def rise(
    result: Record, named: Named, family: str, models: Sequence[str]
) -> tuple[tuple[int, ...], dict[str, list[list[float]]]]:
    """Return where the pieces of a stream end, and how accuracy rises, by model."""
    pieces = parts(family, ENDS)[1:]
    return ENDS, series(result, named, pieces, models=models)


ONE = ("one family", "one family, 500 steps")
SEVERAL = ("many families", "many families, 300 steps")
ENDS_OF_REAL = [n + e for n in REAL for e in (", 11 to 30", ", 301 to 1000")]
QUOTED: dict[str, tuple[Named, list[str]]] = {
    "one": (ONE, [*SAME_SIZE, "digits"]),
    "many": (SEVERAL, ["random patterns", "linear teacher", *ENDS_OF_REAL]),
    "teach": ("teacher", ["linear teacher", "Gaussian", "random patterns", "digits"]),
    "evo": ("evolution", ["Gaussian", "digits"]),
    "own": (("fixed size", "Meta RNN"), ["Gaussian"]),
}


def quoted(result: Record) -> dict[str, float]:
    """Return the means that the chapter quotes, as `plots.glue_all` takes them."""
    return {
        f"{key} {name}": x
        for key, (named, tests) in QUOTED.items()
        for name, x in means(result, named, tests).items()
    }


EXPERIMENT = Experiment(
    "vsml",
    "learned learning rules, their rivals and gradient descent learn online",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Learning rates of training: 1e-2 for VSML, where 3e-3 was tried as well, 3e-3 "
        "for the other nets, 3e-2 for SGD and Adam, whose training tunes nothing but "
        "their rate and its decay. Shift, steps, and the length 200 for several "
        "families were set in trials with VSML on seed 0, which looked at the accuracy "
        "on digits and MNIST as well. Nothing else was searched."
    ),
)
