"""A trained few-shot net in one small file that Python and a web page can read.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_teach.py
Sources   The safetensors format: eight bytes with the length of a JSON header, the
          header, the numbers. The header says of every tensor its type, shape and
          place, and holds the metadata.

The metadata are ``net``, what the net is built of, and ``made``, where it comes from.
"""

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from srwm_lite.arguments import check_range
from srwm_lite.few_shot import FewShotNet
from srwm_lite.srwm import SRWM

# A stem is a row of these parts; the page knows each by the same name and settings
# (net_parts.js). A new part is one line here and one there.
PARTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Unflatten: ("dim", "unflattened_size"),
    nn.Flatten: (),
    nn.Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    nn.BatchNorm2d: ("num_features", "eps", "affine"),
    nn.BatchNorm1d: ("num_features", "eps", "affine"),
    nn.ReLU: (),
    nn.Linear: ("in_features", "out_features"),
}
SRWM_SETTINGS = ("input_softmax", "norm_on")
MADE = ("command", "seed", "data", "score", "date", "commit")


def describe(net: FewShotNet, size: int = 28) -> dict[str, Any]:
    """Return what a net is built of, in words and numbers that JSON can carry.

    Parameters
    ----------
    net : FewShotNet
        Its stem a `torch.nn.Sequential` of known parts, its layers all `SRWM`.
    size : int
        Pixels of a side of its pictures.

    Raises
    ------
    ValueError
        If a part or a layer is unknown to the page, or the net has a reminder.
    """
    blocks: list[Any] = list(net.mixer.blocks)
    layer, embed = blocks[0].layer, net.mixer.embed
    if any(type(block.layer) is not SRWM for block in blocks):
        raise ValueError(
            "the layers of the net must all be SRWM: got "
            f"{', '.join(type(block.layer).__name__ for block in blocks)}"
        )
    if net.reminder:
        raise ValueError(
            "the page gives every picture its label at once, which needs no reminder: "
            "train a net with reminder=False"
        )
    return {
        "size": size,
        "stem": [_part(part) for part in net.stem.children()],
        "features": embed.weight.shape[1] - net.ways,
        "ways": net.ways,
        "d_model": embed.weight.shape[0],
        "num_layers": len(blocks),
        "num_heads": layer.num_heads,
        "d_hidden": len(blocks[0].feed_forward[1].weight),
        "srwm": {name: getattr(layer, name) for name in SRWM_SETTINGS},
    }


def _part(part: nn.Module) -> dict[str, Any]:
    if type(part) not in PARTS:
        known = ", ".join(kind.__name__ for kind in PARTS)
        raise ValueError(
            f"the page cannot compute a stem with {type(part).__name__}: it knows "
            f"{known}; add the part to few_shot_weights.py and net_parts.js"
        )
    settings = {name: getattr(part, name) for name in PARTS[type(part)]}
    if isinstance(part, nn.Conv2d | nn.Linear):
        settings["bias"] = part.bias is not None
    return {"part": type(part).__name__, **settings}


def build(net: Mapping[str, Any]) -> FewShotNet:
    """Return a net, with fresh weights, from what `describe` returned."""
    kinds = {kind.__name__: kind for kind in PARTS}
    parts = [{k: _fixed(v) for k, v in part.items()} for part in net["stem"]]
    stem = nn.Sequential(*(kinds[part.pop("part")](**part) for part in parts))
    sizes = {n: net[n] for n in ("d_model", "num_layers", "num_heads", "d_hidden")}
    layer = partial(SRWM, **net["srwm"])
    return FewShotNet(stem, net["features"], net["ways"], layer=layer, **sizes)


def _fixed(x: Any) -> Any:
    return tuple(x) if isinstance(x, list) else x


def save_weights(
    path: str | Path,
    net: FewShotNet,
    made: Mapping[str, Any],
    *,
    size: int = 28,
    half: bool = False,
) -> None:
    """Write a net into a file for `load_weights` and the page.

    Parameters
    ----------
    path : str or Path
        By custom it ends in ``.safetensors``.
    net : FewShotNet
        See `describe`.
    made : mapping
        Where the weights come from: ``command``, ``seed``, ``data``, ``score`` (the
        share of right answers on new characters), ``date`` and ``commit``.
    size : int
        Pixels of a side of the pictures.
    half : bool
        Store 16 bits a number, which halves the file. What is stored is then no
        longer exactly what was trained.

    Raises
    ------
    ValueError
        If the net has a part that the page does not know, or `made` leaves a thing out.
    """
    absent = [name for name in MADE if name not in made]
    if absent:
        raise ValueError(f"made must say {', '.join(MADE)}: {', '.join(absent)} absent")
    check_range(0, 1, score=made["score"])
    dtype = torch.float16 if half else torch.float32
    tensors = {
        name: x.detach().to("cpu", dtype).contiguous()
        for name, x in net.state_dict().items()
        if x.is_floating_point()  # not how many batches a norm has seen
    }
    told = {"net": json.dumps(describe(net, size)), "made": json.dumps(dict(made))}
    save_file(tensors, path, told)


def load_weights(path: str | Path) -> tuple[FewShotNet, dict[str, Any]]:
    """Return the net in a file, in float32, and where it comes from.

    Raises
    ------
    ValueError
        If the file is none of `save_weights`.
    """
    told, tensors = _read(Path(path))
    net = build(json.loads(told["net"]))
    whole = net.state_dict() | {name: x.float() for name, x in tensors.items()}
    net.load_state_dict(whole)
    return net.eval(), json.loads(told["made"])


def _read(path: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    remedy = "give a file that save_weights wrote"
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}: {remedy}") from None
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{path} is no safetensors file: {error}; {remedy}") from None
    if not {"net", "made"} <= set(told):
        held = ", ".join(sorted(told)) or "none"
        raise ValueError(
            f"{path} does not say what its net is built of: wanted the metadata net "
            f"and made, got {held}; {remedy}"
        )
    return told, tensors


__all__ = ["build", "describe", "load_weights", "save_weights"]
