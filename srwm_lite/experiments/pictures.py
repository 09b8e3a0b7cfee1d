"""What the experiments with pictures share: characters, models, and what they see.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_experiments_pictures.py
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor, nn

from srwm_lite.episodes import Episode, FewShot
from srwm_lite.experiments.layers import LAYERS
from srwm_lite.few_shot import FewShotNet
from srwm_lite.models import Layer
from srwm_lite.omniglot import omniglot, redrawn
from srwm_lite.srwm import SRWM
from srwm_lite.stems import conv_stem, mlp_stem
from srwm_lite.strokes import alphabet

MODELS = ("SRWM", "DeltaNet, unit keys", "LSTM", "Linear Transformer", "Fake SR")
RATES = dict.fromkeys(MODELS, 2e-3)
SRWM_OPTIONS: dict[str, Any] = {}  # such as query_std, beta_init
SIZE, STEM, FEATURES = 14, "mlp", 32
WIDTH: dict[str, int] = {"d_model": 64, "num_heads": 4, "num_layers": 2}
WARMUP, CLIP = 0.05, 1.0

STEMS: dict[str, Callable[[int, int], nn.Module]] = {
    "mlp": mlp_stem,
    "conv": conv_stem,
    "small conv": partial(conv_stem, channels=32),
}
HERE: dict[str, Layer] = {**LAYERS, "SRWM": partial(SRWM, **SRWM_OPTIONS)}
PARTS, OURS = ("train", "val", "test"), ("curved", "straight")


class Pictures(NamedTuple):
    """Where the characters come from.

    Attributes
    ----------
    source : str
        ``"curved"`` or ``"straight"`` strokes of our own, ``"omniglot"``, or
        ``"page"``: Omniglot redrawn, with both of ours beside it in training.
    size : int
        Pixels of a side.
    counts : tuple of int
        Invented characters to train, to validate and to test with; Omniglot has its
        own.
    """

    source: str
    size: int = SIZE
    counts: tuple[int, ...] = (1000, 100, 200)

    def part(self, part: str) -> Tensor:
        """Return the pictures of a part, (C, 20, size, size); drawn or read once.

        Raises
        ------
        DataUnavailable
            If they are Omniglot's, which is not here and cannot be fetched.
        """
        return _drawn(self.source, part, self.size, self.counts[PARTS.index(part)])

    def task(self, part: str, *, rotations: bool = False, **sizes: int) -> FewShot:
        """Return what draws episodes and streams of a part."""
        return FewShot(self.part(part), rotations=rotations, **sizes)


@cache
def _drawn(source: str, part: str, size: int, count: int) -> Tensor:
    if source == "omniglot":
        return omniglot(part, size)
    if source == "page":
        ours = [_drawn(kind, part, size, count) for kind in OURS * (part == "train")]
        return torch.cat([redrawn(part, size), *ours])
    seed = PARTS.index(part)
    return alphabet(count, size=size, straight=source == "straight", seed=seed)


def episodes(
    generator: Generator, *, pictures: Pictures, part: str, batch: int, **options: Any
) -> Episode:
    """Draw a batch of episodes from a part."""
    return pictures.task(part, **options).sample(batch, generator)


@dataclass(frozen=True)
class Sight:
    """A stem that sees, before the layer that is compared.

    Attributes
    ----------
    size, ways : int
        Pixels of a side, and classes to name.
    stem : str
        One of `STEMS`.
    features, d_model, num_heads, num_layers, d_hidden : int
    reminder : bool
        As in `srwm_lite.few_shot.FewShotNet`.
    """

    size: int
    ways: int
    stem: str = STEM
    features: int = FEATURES
    d_model: int = WIDTH["d_model"]
    num_heads: int = WIDTH["num_heads"]
    num_layers: int = WIDTH["num_layers"]
    d_hidden: int = 128
    reminder: bool = False

    def __call__(self, layer: Layer) -> nn.Module:
        """Return a new model with this layer in every block."""
        given = dict(vars(self))
        size, ways, stem = (given.pop(name) for name in ("size", "ways", "stem"))
        seen = STEMS[stem](size, self.features)
        return FewShotNet(seen, given.pop("features"), ways, layer=layer, **given)
