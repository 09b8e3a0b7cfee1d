"""What the grid of cells checks, packs, computes and says in Python.

Tests     tests/test_message_grid.py

Shapes    n pictures, I inputs, O classes, N size of a state, M size of a message.
"""

import copy
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional

from srwm_lite.arguments import check_tensor, check_whole
from srwm_lite.vsml import SubRNN
from srwm_lite.vsml_learner import VSML, Memory

MOST = {"n": 8, "I": 25, "O": 8, "N": 32, "M": 16}
MOST_SHOWN = 60
Pairs = list[list[int]]


class Answer(NamedTuple):
    """What a network answered to one example.

    Attributes
    ----------
    picture, label : int
    chances : Tensor, (O,)
        Probability of each class, before the label was told.
    """

    picture: int
    label: int
    chances: Tensor

    @property
    def right(self) -> bool:
        """Say whether the likeliest class is the label that was told."""
        return int(self.chances.argmax()) == self.label


def check_net(net: Any) -> VSML:
    """Return a copy in float64 of what float32 holds; raise unless it is one layer."""
    if not isinstance(net, VSML) or not isinstance(net.cell, SubRNN):
        raise TypeError(f"net must be a VSML of SubRNN cells: got {type(net).__name__}")
    if net.hidden:
        raise ValueError(
            f"net must have one layer: got hidden={net.hidden}; use VSML(hidden=())"
        )
    if net.cell.grid:
        raise ValueError(
            f"the cells must share their weights: got grid={net.cell.grid}; "
            "use SubRNN(grid=())"
        )
    check_most(N=net.cell.state_size, M=net.cell.message_size)
    return copy.deepcopy(net).requires_grad_(False).cpu().float().double()


def check_most(**sizes: int) -> None:
    """Raise ``ValueError`` if there is more of something than the page can show."""
    for name, size in sizes.items():
        if size > MOST[name]:
            raise ValueError(f"{name} must be at most {MOST[name]}: got {size}")


def check_pictures(pictures: Any) -> Tensor:
    """Return `pictures` (n, I) in float32; raise unless they are finite and few."""
    x = torch.as_tensor(pictures, dtype=torch.float32).detach().cpu()
    if x.dim() != 2 or 0 in x.shape:
        raise ValueError(f"pictures must have shape (n, I): got {tuple(x.shape)}")
    if not x.isfinite().all():
        raise ValueError("pictures must be finite: they hold an infinity or NaN")
    check_most(n=x.shape[0], I=x.shape[1])
    return x


def check_classes(classes: int) -> int:
    """Return the number of classes; raise unless it is from 2 to 8."""
    check_whole(2, classes=classes)
    check_most(O=int(classes))
    return int(classes)


def check_labels(labels: Any, count: int, classes: int) -> list[int]:
    """Return a label for each picture; 0, 1, 2, ... if there are none yet."""
    if labels is None:
        return [n % classes for n in range(count)]
    found = [int(label) for label in labels]
    if len(found) != count or not all(0 <= label < classes for label in found):
        raise ValueError(
            f"labels must be {count} numbers from 0 to {classes - 1}, one for each "
            f"picture: got {found}"
        )
    return found


def check_names(names: Sequence[str] | None, classes: int) -> list[str]:
    """Return a name for each class; 1, 2, 3, ... if there are none yet."""
    if names is None:
        return [str(n + 1) for n in range(classes)]
    found = [names] if isinstance(names, str) else [str(name) for name in names]
    if len(set(found)) != classes or len(found) != classes or "" in found:
        raise ValueError(f"names must be {classes} different words: got {found}")
    return found


def check_script(script: Any, count: int, classes: int) -> Pairs:
    """Return the pairs (picture, label); raise unless all exist."""
    pairs = [[int(x) for x in pair] for pair in script]
    if not 0 < len(pairs) <= MOST_SHOWN:
        raise ValueError(
            f"script must have 1 to {MOST_SHOWN} examples: got {len(pairs)}"
        )
    for pair in pairs:
        if len(pair) != 2 or not (0 <= pair[0] < count and 0 <= pair[1] < classes):
            raise ValueError(
                f"script must hold pairs (picture, label), from 0 to {count - 1} and "
                f"from 0 to {classes - 1}: got {tuple(pair)}"
            )
    return pairs


def ready_scripts(labels: list[int], classes: int) -> list[list[Any]]:
    """Return scripts by name: all in turn, one again and again, and so on."""
    usual = [[n, label] for n, label in enumerate(labels)]
    first, other = usual[0], [0, (labels[0] + 1) % classes]
    made = [
        ["all in turn", usual * min(4, MOST_SHOWN // len(usual))],
        ["one again and again", [first] * 8],
        ["then with another label", [first] * 5 + [other] * 7],
    ]
    if len(usual) > 1:
        late = usual[:-1] * min(3, 18 // len(usual)) + (usual[-1:] + usual[:1]) * 3
        made.append(["then one never seen", late])
    return made


def draw_start(net: VSML, inputs: int, classes: int, seed: int) -> Tensor:
    """Draw the memory c of a grid that knows nothing, (I, O, N), in float32."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _, c = copy.deepcopy(net.cell).float().start(1, inputs, classes)
    return c[0]


def pack(net: VSML, start: Tensor) -> bytes:
    """Return weights and start as a safetensors file in float32."""
    cell = net.cell
    tensors = {name: x.float().contiguous() for name, x in cell.state_dict().items()}
    settings = {
        "ticks": cell.ticks,
        "shifts": [cell.input_shift, cell.forget_shift],
        "reduce": net.reduce,
        "feed_label": net.feed_label,
    }
    check_tensor(start=start)
    return save(tensors | {"start": start}, metadata={"grid": json.dumps(settings)})


def begin(start: Tensor, messages: int) -> Memory:
    """Return the memory of a network that starts from `start` (I, O, N)."""
    c = start[None].double()
    back = c.new_zeros(1, start.shape[1], messages)
    return Memory(((torch.zeros_like(c), c),), (back,))


def run(
    net: VSML, pictures: Tensor, memory: Memory, pairs: Pairs
) -> tuple[list[Answer], Memory]:
    """Show examples one after the other; return the answers and the last memory."""
    answers, classes = [], memory.backs[0].shape[1]
    for picture, label in pairs:
        target = functional.one_hot(torch.tensor([[label]]), classes).double()
        x = pictures[picture].double()[None, None]
        logits, memory = net(x, target, memory, backend="loop")
        answers.append(Answer(picture, label, logits[0, 0].softmax(dim=-1)))
    return answers, memory
