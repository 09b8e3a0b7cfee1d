"""Stems: small networks that turn a picture into features, in front of every memory.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_stems.py
Sources   [1] Vinyals et al. (2016), arXiv:1606.04080 (four convolutions).
          [2] Ioffe & Szegedy (2015), arXiv:1502.03167 (batch norm).

Shapes    n pictures, h = w = size pixels, F features.

Both stems begin and end with a batch norm without parameters. The first puts the ink on
a common scale. The last takes away what all pictures share: without it two pictures
have nearly the same features, and a memory that compares them has nothing to go by.
While training, its mean is that of the batch; in evaluation it is a constant, and every
picture is seen by itself.
"""

import torch
from torch import nn

from srwm_lite.arguments import check_whole


def mlp_stem(size: int, features: int = 32, hidden: int = 128) -> nn.Sequential:
    """Return two dense layers that turn a picture, size by size, into F features."""
    check_whole(1, size=size, features=features, hidden=hidden)
    return nn.Sequential(
        *_scaled(size),
        nn.Flatten(),
        nn.Linear(size * size, hidden, bias=False),
        nn.BatchNorm1d(hidden),
        nn.ReLU(),
        *_compared(hidden, features),
    )


def conv_stem(size: int, features: int = 64, channels: int = 64) -> nn.Sequential:
    """Return four convolutions that each halve the picture, and F features.

    As the Conv-4 of [1], but with steps of two pixels in the place of pooling: five
    times as fast on a CPU.
    """
    check_whole(1, size=size, features=features, channels=channels)
    parts, last = _scaled(size), 1
    for _ in range(4):
        parts += [
            nn.Conv2d(last, channels, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        last, size = channels, (size + 1) // 2
    parts += [nn.Flatten(), *_compared(channels * size * size, features)]
    return nn.Sequential(*parts).to(memory_format=torch.channels_last)  # type: ignore


def _scaled(size: int) -> list[nn.Module]:
    return [nn.Unflatten(1, (1, size)), nn.BatchNorm2d(1, affine=False)]


def _compared(size: int, features: int) -> list[nn.Module]:
    return [nn.Linear(size, features), nn.BatchNorm1d(features, affine=False)]
