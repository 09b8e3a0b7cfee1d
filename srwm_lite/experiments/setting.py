"""What an experiment is: settings of a task, models, and the tests they take.

Chapters  those that show stored results, see `srwm_lite.experiments`
Tests     tests/test_experiments.py
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from srwm_lite import distributed
from srwm_lite.checkpoints import Sample, Score
from srwm_lite.experiments.layers import LAYERS
from srwm_lite.identity import describe
from srwm_lite.models import Layer, SequenceModel
from srwm_lite.scores import sequence_accuracy, sequence_loss


@dataclass(frozen=True)
class Test:
    """A question to a trained model; all models meet the same batches.

    Attributes
    ----------
    sample : callable
        ``sample(generator)`` draws a batch.
    metric : callable
        ``metric(model, *batch)`` returns one number.
    batches : int
        Over how many batches the number is averaged.
    parts : sequence of str
        Names of the numbers, if `metric` returns more than one, (n,).
    unit : str
        ``"%"`` for shares from 0 to 1, or what the number counts.
    """

    __test__ = False  # no test for pytest

    sample: Sample
    metric: Score = sequence_accuracy
    batches: int = 10
    unit: str = "%"
    parts: Sequence[str] = ()


@dataclass(frozen=True)
class Frame:
    """The network around the layer that is compared.

    Attributes
    ----------
    num_in, num_out : int
        Size of the vocabulary, and number of answers.
    d_model, num_heads, num_layers, d_hidden : int
        As in `srwm_lite.models.SequenceModel`.
    """

    num_in: int
    num_out: int
    d_model: int = 32
    num_heads: int = 2
    num_layers: int = 2
    d_hidden: int = 64

    def __call__(self, layer: Layer) -> nn.Module:
        """Return a new model with this layer in every block."""
        return SequenceModel(layer=layer, **vars(self))


@dataclass(frozen=True)
class Setting:
    """One task at one size: what is learned, by which models, and what is asked.

    Attributes
    ----------
    about : str
        The task and its batches in words, for the results.
    frame : callable
        ``frame(layer)`` makes a model, such as `Frame`.
    sample, loss : callable
        What `srwm_lite.training.fit` takes; no `sample` if there is a `reader`.
    tests : mapping
        Name of a number to the `Test` that gives it; the first is the headline.
    lr : mapping
        Name of each model to its learning rate.
    steps : int
        Steps of training.
    warmup : float, optional
        Share of the steps in which the learning rate rises, before it falls along a
        cosine; constant if omitted.
    clip, stop : float, optional
        As in `srwm_lite.training.fit`; `stop` looks at the last 100 steps.
    reader : callable, optional
        ``reader(model)`` is trained in the place of the model, and draws the batches:
        such as `srwm_lite.carried_state.Carried`, whose batches go on where the last
        one stopped. Without it, `sample` draws them.
    known : mapping
        Numbers to compare with, such as ``{"chance": 0.1}``.
    layers : mapping
        Name of each model to its layer.
    valid : Test, optional
        What is asked now and then in training, for the log; the first of the tests in
        one batch if omitted, nothing if there is a `reader`.
    ready : callable, optional
        Called before anything is trained: raises if data are missing.
    """

    about: str
    frame: Callable[[Layer], nn.Module]
    sample: Sample | None
    tests: Mapping[str, Test]
    lr: Mapping[str, float]
    steps: int
    loss: Score = sequence_loss
    warmup: float | None = None
    clip: float | None = None
    stop: float | None = None
    reader: Callable[[nn.Module], Any] | None = None
    known: Mapping[str, float] = field(default_factory=dict)
    layers: Mapping[str, Layer] = field(default_factory=lambda: LAYERS)
    valid: Test | None = None
    ready: Callable[[], Any] | None = None

    def pupil(self, model: nn.Module) -> tuple[nn.Module, Sample]:
        """Return what is trained, and what draws its batches."""
        if self.reader is not None:
            reader = self.reader(model)
            return reader, reader.sample
        if self.sample is None:
            raise ValueError("a setting needs a sample or a reader: got neither")
        return model, self.sample

    def watched(self) -> Test | None:
        """Return what is asked now and then in training."""
        if self.valid is not None or self.reader is not None:
            return self.valid
        first = next(iter(self.tests.values()), None)
        return None if first is None else replace(first, batches=1)

    def told(self) -> dict[str, Any]:
        """Return the setting in words and numbers, for the file of the results."""
        asked = {
            part: {"unit": t.unit, "batches": t.batches}
            for name, t in self.tests.items()
            for part in t.parts or [name]
        }
        return {
            "about": self.about,
            "frame": describe(self.frame),
            "tests": asked,
            "lr": dict(self.lr),
            "steps": self.steps,
            "warmup": self.warmup,
            "clip": self.clip,
            "stop": self.stop,
            "known": dict(self.known),
        }


Settings = Mapping[str, Setting]


def prepare(settings: Iterable[Setting]) -> None:
    """See to it that the data are there, before anything is trained."""
    for setting in settings:
        if setting.reader is not None and distributed.world() > 1:
            raise ValueError(
                f"{setting.about}: the memory is carried from batch to batch, so a "
                f"batch cannot be shared by {distributed.world()} processes: use one"
            )
        if setting.ready is not None:
            setting.ready()


@dataclass(frozen=True)
class Experiment:
    """A comparison that is run once and stored.

    Attributes
    ----------
    name : str
        The file ``benchmarks/results/<name>.json``, and the module here.
    about : str
        What is compared, in one sentence.
    presets : mapping
        ``"quick"``, ``"laptop"`` and ``"paper"`` to a function that makes the settings.
    chosen : str
        How learning rates and steps were chosen.
    """

    name: str
    about: str
    presets: Mapping[str, Callable[[], Settings]]
    chosen: str = ""

    def settings(self, preset: str) -> Settings:
        """Return the settings of a preset by name, or say which there are."""
        if preset not in self.presets:
            known = ", ".join(self.presets)
            raise ValueError(f"{self.name} has no preset {preset!r}: use {known}")
        return self.presets[preset]()
