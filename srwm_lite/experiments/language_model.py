"""Language models: predict the next character of a real text, memory carried or not.

Chapter   chapters/10_language_model.ipynb
Tests     tests/test_experiments.py
Sources   [1] Irie, Schlag, Csordás & Schmidhuber (2021), arXiv:2106.06295, section 4.1.
"""

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Generator, Tensor, nn

from srwm_lite.carried_state import Carried
from srwm_lite.experiments.setting import Experiment, Frame, Setting, Settings, Test
from srwm_lite.language_model import Corpus, bits, characters, corpus, spaced, split
from srwm_lite.models import SoftmaxAttention
from srwm_lite.text import Text, python_text, wikitext

MODELS = (
    "LSTM",
    "Transformer",
    "Linear Transformer",
    "DeltaNet",
    "DeltaNet, unit keys",
    "DeltaNet, gated",
    "Delta MLP",
    "Delta RNN",
    "RDN",
    "RDN, deaf",
)
FEW = ("LSTM", "Linear Transformer", "DeltaNet", "DeltaNet, unit keys", "RDN")


def cost(model: nn.Module, ids: Tensor, *, length: int, carry: bool) -> Tensor:
    """Return the bits that a token of a text costs on average."""
    return bits(model, ids, length=length, carry=carry).mean()


def speed(model: nn.Module, ids: Tensor, *, length: int) -> Tensor:
    """Return how many tokens in a second of one CPU's time a model reads."""
    start = time.process_time()
    read = bits(model, ids, length=length, carry=False).numel()
    return torch.tensor(read / (time.process_time() - start))


def whole(ids: Tensor, generator: Generator) -> tuple[Tensor]:
    """Return a text as the one batch there is."""
    return (ids,)


def reader(
    model: nn.Module, *, ids: Tensor, num: int, length: int, carry: bool
) -> Carried:
    """Let a model read on from segment to segment, if wanted with its memory.

    Softmax attention starts anew in each: its memory would grow with the text.
    """
    grows = any(isinstance(part, SoftmaxAttention) for part in model.modules())
    return Carried(model, ids, num=num, length=length, carry=carry and not grows)


def setting(
    text: Corpus,
    about: str,
    *,
    steps: int,
    length: int = 64,
    batch: int = 16,
    frame: Mapping[str, int] | None = None,
    carry: bool = True,
    models: Sequence[str] = MODELS,
) -> Setting:
    """Return the setting of one text, read in parallel streams, segment by segment.

    In training the memory is carried from segment to segment, or not. The tests read
    the test text both ways, first as in training.
    """
    size, sample = len(text.vocabulary), partial(whole, text.test)
    tests = {
        f"bits, {words}": Test(
            sample, partial(cost, length=length, carry=on), batches=1, unit="bits"
        )
        for words, on in _ways(carry)
    }
    fast = Test(sample, partial(speed, length=length), batches=1, unit="/s")
    return Setting(
        about=f"{about}, {batch} streams in segments of {length}",
        frame=Frame(size, size, **(frame or {})),
        sample=None,
        tests={**tests, "speed": fast},
        lr=dict.fromkeys(models, 1e-2),
        steps=steps,
        clip=1.0,
        warmup=0.05,
        reader=partial(reader, ids=text.train, num=batch, length=length, carry=carry),
    )


def _ways(carry: bool) -> list[tuple[str, bool]]:
    ways = [("carried", True), ("not carried", False)]
    return ways if carry else ways[::-1]


def python_characters(share: float = 1.0) -> tuple[Corpus, str]:
    """Return the text that every Python carries, or its beginning, and its name."""
    text = python_text()
    text = Text(text.name, text.content[: round(share * len(text.content))])
    whole = corpus(*split(text.content), cut=characters, min_count=5)
    return whole, f"characters of {text}"


def quick() -> Settings:
    """Return the beginning of a text, in seconds, to see that all runs."""
    text, about = python_characters(0.02)
    small = {"d_model": 8, "d_hidden": 8}
    sizes: Any = {"steps": 3, "length": 16, "batch": 2, "frame": small}
    return {"characters": setting(text, about, **sizes)}


def laptop() -> Settings:
    """Return what is stored: less than an hour on a core."""
    frame = {"d_model": 64, "num_heads": 8, "d_hidden": 128}
    text, about = python_characters()
    sizes: Any = {"steps": 1500, "frame": frame}
    return {
        "characters": setting(text, about, **sizes),
        "characters, never carried": setting(
            text, about, carry=False, models=FEW, **sizes
        ),
    }


def paper() -> Settings:
    """Return the words of WikiText-2, in a net of the shape of [1]."""
    texts = [wikitext(part).content for part in ("train", "valid", "test")]
    text = corpus(*texts, cut=spaced)
    frame = {"d_model": 128, "num_heads": 8, "num_layers": 16, "d_hidden": 2048}
    sizes: Any = {"steps": 100_000, "length": 256, "batch": 32, "frame": frame}
    return {"WikiText-2": setting(text, "words of WikiText-2", **sizes)}


EXPERIMENT = Experiment(
    "language_model",
    "sum, delta rule and recurrence predict the next character of a real text",
    {"quick": quick, "laptop": laptop, "paper": paper},
    chosen=(
        "Every model tried the learning rates 3e-3 and 1e-2 once, in 200 steps with "
        "seed 100 (language_model-rates.json). For every model 1e-2 had the lower loss "
        "at the end of training. Width, heads and length of a segment were set before."
    ),
)
