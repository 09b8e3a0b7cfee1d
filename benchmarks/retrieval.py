"""Measure the retrieval curve of Schlag et al. (2021), setting 1, at their key size.

::

    python benchmarks/retrieval.py                  all maps, all sizes
    python benchmarks/retrieval.py --sizes 40 80    some sizes
    python benchmarks/retrieval.py --again          forget what was measured

Every finished run is written to ``results/retrieval.json`` at once, and an unfinished
one to a checkpoint: stop with Ctrl-C, start again, and the measurement goes on.

Chapter   chapters/04_feature_maps.ipynb
Sources   Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.1.1.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from srwm_lite.associative_memory import AssociativeMemory
from srwm_lite.experiments.store import circumstances, save
from srwm_lite.feature_maps import (
    dpfp,
    elu_plus_one,
    favor_plus,
    orthogonal_projection,
)
from srwm_lite.tasks import AssociativeRetrieval, retrieval_loss
from srwm_lite.training import evaluate, fit, progress

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "retrieval.json"
UNFINISHED = Path(tempfile.gettempdir()) / "srwm-lite-retrieval"
D_KEY, BATCH, COPIES, STEPS = 64, 32, 3, 1500
SIZES = (40, 60, 80, 120, 160, 240)

Map = Callable[[Tensor], Tensor]


class Choice(NamedTuple):
    """What is measured under one name: sizes above `most` cost much and show little."""

    d_dot: int | None
    memory: dict[str, Any]
    lr: float = 3e-3
    most: int = 240


def redrawn(x: Tensor) -> Tensor:
    """Map with FAVOR+, new directions in every call, as the authors' code does."""
    return favor_plus(x, orthogonal_projection(D_KEY, D_KEY))


def fixed() -> Map:
    """Return FAVOR+ with directions that stay."""
    generator = torch.Generator().manual_seed(0)
    return partial(
        favor_plus, projection=orthogonal_projection(D_KEY, D_KEY, generator)
    )


CHOICES = {
    "ELU+1": Choice(D_KEY, {"feature_map": elu_plus_one}),
    "DPFP-1": Choice(2 * D_KEY, {"feature_map": dpfp}),
    "DPFP-2": Choice(4 * D_KEY, {"feature_map": partial(dpfp, nu=2)}),
    "FAVOR+ redrawn": Choice(2 * D_KEY, {"feature_map": redrawn}, lr=1e-3, most=120),
    "FAVOR+ fixed": Choice(2 * D_KEY, {"feature_map": fixed()}, lr=1e-3, most=120),
    "softmax": Choice(None, {"rule": "softmax"}, lr=1e-3),
}


class OneAnswer(AssociativeMemory):
    """The same memory, computed in the parallel form: there is only one query.

    The matrix would cost S d_dot numbers a step; the scores of one query cost S.
    """

    def forward(self, keys: Tensor, values: Tensor, query: Tensor) -> Tensor:
        """Return what `AssociativeMemory` does, (C, B, S), from inputs (C, B, ...)."""
        q, k, _ = self.program(keys, values, query)
        scores = (q * k).sum(dim=-1).movedim(-1, 0)
        if self.rule == "softmax":
            weights = (scores / q.shape[-1] ** 0.5).softmax(dim=-1)
        else:
            total = scores.sum(dim=-1, keepdim=True)
            weights = scores / total.masked_fill(total == 0, 1)
        y = weights.new_zeros(*query.shape, self.num_keys)
        return y.scatter_add(-1, values, weights) * self.writes


def check_one_answer() -> None:
    """Compare the short cut with the memory itself, in float64."""
    for rule in ("sum", "softmax"):
        whole = AssociativeMemory(7, d_key=4, copies=3, rule=rule).double()
        short = OneAnswer(7, d_key=4, copies=3, rule=rule).double()
        short.load_state_dict(whole.state_dict())
        asked = AssociativeRetrieval(7).sample((3, 5))[:3]
        torch.testing.assert_close(short(*asked), whole(*asked))


def measure(name: str, S: int, steps: int) -> dict[str, Any]:
    """Train C copies with their own weights and sequences; return their losses."""
    choice = CHOICES[name]
    torch.manual_seed(S)
    task = AssociativeRetrieval(S)
    model = OneAnswer(S, d_key=D_KEY, copies=COPIES, **choice.memory)
    UNFINISHED.mkdir(exist_ok=True)
    checkpoint = UNFINISHED / f"{name.replace(' ', '-')}-{S}.pt"
    history = fit(
        model,
        lambda g: task.sample((COPIES, BATCH), g),
        retrieval_loss,
        steps=steps,
        lr=choice.lr,
        checkpoint=checkpoint,
        every=100,
        stop=1e-3,
    )
    loss = evaluate(model, lambda g: every_query(task, g), retrieval_loss, batches=5)
    checkpoint.unlink()
    return {
        "map": name,
        "d_dot": choice.d_dot,
        "S": S,
        "lr": choice.lr,
        "steps": history.steps,
        "seconds": round(history.seconds, 1),
        "loss": [round(x, 4) for x in loss.tolist()],
    }


def every_query(task: AssociativeRetrieval, generator: torch.Generator) -> Any:
    """Return one sequence, asked for every key, the same for all copies."""
    batch = task.queries(1, generator)
    return [x.expand(COPIES, *x.shape) for x in batch]


def main() -> None:
    """Measure what is missing, smallest sizes first."""
    check_one_answer()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES, metavar="S")
    parser.add_argument("--maps", nargs="+", default=list(CHOICES), choices=CHOICES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--again", action="store_true", help="measure everything anew")
    args = parser.parse_args()
    known = RESULTS.exists() and not args.again
    runs = json.loads(RESULTS.read_text())["runs"] if known else []
    done = {(run["map"], run["S"]) for run in runs}
    wanted = [
        (name, S) for S in args.sizes for name in args.maps if S <= CHOICES[name].most
    ]
    for name, S in progress([one for one in wanted if one not in done]):
        runs.append(measure(name, S, args.steps))
        print(json.dumps(runs[-1]), flush=True)
        runs.sort(key=lambda run: (list(CHOICES).index(run["map"]), run["S"]))
        sizes = {"d_key": D_KEY, "batch": BATCH, "copies": COPIES, "steps": args.steps}
        save(RESULTS, {**circumstances(), **sizes, "runs": runs})


if __name__ == "__main__":
    main()
