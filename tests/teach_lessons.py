"""Lessons for the page, and what the Python of the book makes of them."""

import base64
from functools import partial

import torch

from srwm_lite.few_shot import FewShotNet
from srwm_lite.few_shot_weights import load_weights, save_weights
from srwm_lite.models import writes_off
from srwm_lite.srwm import SRWM
from srwm_lite.stems import conv_stem, mlp_stem
from srwm_lite.strokes import alphabet, bezier, characters, write_by_hand
from srwm_lite.widgets.teach_lesson import drawing, learn

MADE = {
    "command": "a test",
    "seed": 0,
    "data": "none",
    "score": 0.2,
    "date": "2026-01-01",
    "commit": "none",
}
PLACES = [0.0, 0.25, 0.5, 0.75, 1.0]


STEMS = {
    "conv": (28, 6, lambda: conv_stem(28, 6, 3)),
    "mlp": (14, 5, lambda: mlp_stem(14, 5, 7)),
}
CASES = [
    ("conv", {"norm_on": "residual"}, False),
    ("mlp", {"norm_on": "layer", "input_softmax": True}, False),
    ("mlp", {"norm_on": "none"}, True),
]


def untrained(stem, settings, ways=5):
    """Return a net whose matrices move a lot, and the size of its pictures."""
    size, features, make = STEMS[stem]
    layer = partial(SRWM, beta_init=0.5, **settings)
    sizes = {"d_model": 12, "num_heads": 3, "num_layers": 2, "d_hidden": 9}
    net = FewShotNet(make(), features, ways, layer=layer, **sizes)
    for _ in range(4):  # the norms of the stem see some pictures
        net.see(torch.rand(1, 8, size, size))
    return net.eval(), size


def stored(folder, case):
    """Return what `load_weights` makes of a net, its file, and the size."""
    stem, settings, half = case
    path = folder / f"{stem}_{half}.safetensors"
    net, size = untrained(stem, settings)
    save_weights(path, net, MADE, size=size, half=half)
    return load_weights(path)[0], path, size


def lessons(folder):
    """Return lessons as the page takes them, and the nets and tensors they are of."""
    inputs, nets = [], []
    for n, case in enumerate(CASES):
        net, path, size = stored(folder, case)
        pictures = alphabet(6, 1, size, seed=n)[:, 0].double()
        labels = torch.randperm(5)
        inputs.append(
            {
                "file": base64.b64encode(path.read_bytes()).decode(),
                "pictures": pictures.flatten(1).tolist(),
                "labels": labels.tolist(),
            }
        )
        nets.append((net, pictures, labels))
    return inputs, nets


@torch.no_grad()
def expected(net, pictures, labels):
    """Return what the page must answer, by the net itself."""
    pictures = pictures.to(net.mixer.embed.weight.dtype)
    shown, query = pictures[None, :5], pictures[None, 5:]
    said = [net(shown[:, :n], labels[None, :n], query)[0, 0] for n in range(1, 6)]
    with writes_off(net):
        start = net(shown, labels[None], query)[0, 0]
    starts = [block.layer.W for block in net.mixer.blocks]
    shifts = learn(net, pictures, labels).shifts
    states = [[W + x for W, x in zip(starts, one, strict=True)] for one in shifts]
    return {
        "seen": net.see(pictures[None])[0],
        "states": torch.stack([torch.stack(one).flatten(1) for one in states]),
        "logits": torch.stack([start, *said]),
    }


def compare_lessons(answers, nets, dtype, limit):
    """Compare with the net in this precision; return the largest difference."""
    assert len(answers) == len(nets) > 0
    most = 0.0
    for found, (net, *lesson) in zip(answers, nets, strict=True):
        for name, wanted in expected(net.to(dtype), *lesson).items():
            got = torch.tensor(found[name], dtype=torch.float64)
            assert got.shape == wanted.shape, name
            off = float((got - wanted.double()).abs().max())
            assert off < limit, name
            most = max(most, off)
    return most


def drawings():
    """Return drawings as lists of strokes, and their pictures."""
    generator = torch.Generator().manual_seed(3)
    lists = [
        [torch.rand(n, 2, generator=generator, dtype=torch.float64) for n in sizes]
        for sizes in ([9], [1], [2, 30, 5], [])
    ]
    inputs = [[stroke.tolist() for stroke in strokes] for strokes in lists]
    return inputs, torch.stack([drawing(x, 28).double().flatten() for x in lists])


def hands():
    """Return characters with what a hand does to them, and what it draws."""
    control = characters(4, torch.Generator().manual_seed(0))
    drawn = write_by_hand(control, 1, 1.5, torch.Generator().manual_seed(1))[:, 0]
    again = torch.Generator().manual_seed(1)  # draws in the same order
    affine = torch.eye(2) + 0.18 * torch.randn(4, 1, 2, 2, generator=again)[:, 0]
    shift = 0.5 + 0.06 * torch.randn(4, 1, 1, 1, 2, generator=again)[:, 0, 0, 0]
    noise = 0.0375 * torch.randn(4, 1, 4, 4, 2, generator=again)[:, 0]
    inputs, wanted = [], []
    for n, one in enumerate(control):
        there = ~one.isnan().any(dim=-1).any(dim=-1)
        inputs.append(
            {
                "control": one[there].tolist(),
                "places": PLACES,
                "affine": affine[n].tolist(),
                "shift": shift[n].tolist(),
                "noise": noise[n][there].tolist(),
            }
        )
        wanted.append(bezier(drawn[n][there], torch.tensor(PLACES, dtype=drawn.dtype)))
    return inputs, wanted
