"""Few-shot learning as a sequence: see each class once or a few times, then name one.

Chapter   chapters/12_few_shot.ipynb
Tests     tests/test_few_shot.py
Sources   [1] Vinyals et al. (2016), arXiv:1606.04080 (N-way K-shot episodes).
          [2] Santoro et al. (2016), arXiv:1605.06065 (labels one step late).
          [3] Irie, Schlag, Csordás & Schmidhuber (2022), arXiv:2202.05780, section 4.
          [4] Snell, Swersky & Zemel (2017), arXiv:1703.05175 (prototypes).

Shapes    B batch, C classes, N drawings of each, ways classes in an episode, S support
          images (ways * shots), Q queries, T time, F features, h and w pixels.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.episodes import Episode, FewShot
from srwm_lite.models import SequenceModel

__all__ = [
    "Episode",
    "FewShot",
    "FewShotNet",
    "few_shot_accuracy",
    "few_shot_loss",
    "metric_loss",
    "prototype_logits",
]


class FewShotNet(nn.Module):
    """A stem that sees, and a sequence model that learns while it reads.

    Parameters
    ----------
    stem : Module
        Maps pictures (n, h, w) to features (n, F), such as those of `srwm_lite.stems`.
    features : int
        Number F of features.
    ways : int
        Classes in an episode.
    reminder : bool
        Show the picture of the step before once more beside its late label.
    **model
        What `srwm_lite.models.SequenceModel` takes: ``d_model``, ``layer``,
        ``num_layers``, ``num_heads`` and ``d_hidden``.
    """

    def __init__(
        self,
        stem: nn.Module,
        features: int,
        ways: int,
        *,
        reminder: bool = False,
        **model: Any,
    ) -> None:
        super().__init__()
        backends.check_flag(reminder=reminder)
        self.stem, self.ways, self.reminder = stem, ways, reminder
        size = features * (1 + reminder) + ways
        self.mixer = SequenceModel(size, ways, tokens=False, **model)

    def see(self, images: Tensor) -> Tensor:
        """Return the features of pictures, (B, T, h, w) to (B, T, F)."""
        return self.stem(images.flatten(0, 1)).unflatten(0, images.shape[:2])

    def forward(self, support: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
        """Return the logits of every query, (B, Q, ways).

        The support is read once, with its labels. Then every query is read from the
        state the support has left, without a label, and none hears of the others.
        """
        return self.answer(*self.see_all(support, queries), labels)

    def see_all(self, support: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
        """Return the features of both, (B, S, F) and (B, Q, F), seen at once."""
        seen = self.see(torch.cat([support, queries], dim=1))
        shown, asked = seen.split([support.shape[1], queries.shape[1]], dim=1)
        return shown, asked

    def answer(self, shown: Tensor, asked: Tensor, labels: Tensor) -> Tensor:
        """Return the logits of every query, (B, Q, ways), from features."""
        states = self.learn(shown, labels)
        Q = asked.shape[1]
        states = [repeated(state, Q) for state in states]
        unknown = asked.new_zeros(*asked.shape[:2], self.ways)
        x = self._with(asked, unknown).flatten(0, 1)[:, None]
        y, _ = self.mixer(x, states)
        return y[:, 0].unflatten(0, (-1, Q))

    def learn(self, shown: Tensor, labels: Tensor) -> list[Any]:
        """Return the states that features (B, S, F) leave with their labels (B, S)."""
        return self.mixer(self._with(shown, one_hot(labels, self.ways)))[1]

    def late(self, images: Tensor, labels: Tensor, states: Any = None) -> Tensor:
        """Return logits at every step, each label being shown one step late [2].

        Parameters
        ----------
        images : Tensor, (B, T, h, w)
        labels : Tensor of integers, (B, T)

        Returns
        -------
        Tensor, (B, T, ways)
        """
        seen, told = self.see(images), _one_later(one_hot(labels, self.ways))
        before = _one_later(seen) if self.reminder else None
        return self.mixer(self._with(seen, told, before), states)[0]

    def _with(self, seen: Tensor, told: Tensor, before: Tensor | None = None) -> Tensor:
        if not self.reminder:
            return torch.cat([seen, told], dim=-1)
        before = torch.zeros_like(seen) if before is None else before
        return torch.cat([seen, told, before], dim=-1)


def _one_later(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:, :1]), x[:, :-1]], dim=1)


def one_hot(labels: Tensor, ways: int) -> Tensor:
    """Return labels as vectors with one 1, (..., ways)."""
    return functional.one_hot(labels, ways).float()


def repeated(state: Any, times: int) -> Any:
    """Return a state, tuples and lists of tensors too, `times` times for each batch."""
    if isinstance(state, Tensor):
        return state.repeat_interleave(times, dim=0)
    if isinstance(state, tuple | list):
        return type(state)(repeated(part, times) for part in state)
    return state


def few_shot_loss(model: FewShotNet, *episode: Tensor, metric: float = 0.0) -> Tensor:
    """Return the cross-entropy of the queries, in nats.

    With `metric` above 0, so many times `metric_loss` is added: a lesson for the stem
    alone, which the sequence model never hears of.
    """
    support, labels, queries, targets = episode
    if not metric:
        y = model(support, labels, queries)
        return functional.cross_entropy(y.flatten(0, 1), targets.flatten())
    shown, asked = model.see_all(support, queries)
    y = model.answer(shown, asked, labels)
    loss = functional.cross_entropy(y.flatten(0, 1), targets.flatten())
    return loss + metric * metric_loss(shown, labels, asked, targets)


def prototype_logits(shown: Tensor, labels: Tensor, asked: Tensor, ways: int) -> Tensor:
    """Compare queries with the mean c_n of every class: no memory, nothing learned [4].

    Equation: eq:prototypes ::

        logit_n = -|x - c_n|² / sqrt(F)

    Parameters
    ----------
    shown, asked : Tensor, (B, S, F) and (B, Q, F)
        Features of the support and of the queries.
    labels : Tensor of integers, (B, S)
    ways : int

    Returns
    -------
    Tensor, (B, Q, ways)
    """
    one = one_hot(labels, ways)
    means = (one / one.sum(dim=1, keepdim=True)).mT @ shown
    return -torch.cdist(asked, means).square() / shown.shape[-1] ** 0.5


def metric_loss(
    shown: Tensor, labels: Tensor, asked: Tensor, targets: Tensor
) -> Tensor:
    """Return the cross-entropy of `prototype_logits`, in nats."""
    logits = prototype_logits(shown, labels, asked, int(labels.max()) + 1)
    return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def few_shot_accuracy(model: FewShotNet, *episode: Tensor) -> Tensor:
    """Return the share of queries that are named right."""
    *shown, targets = episode
    return (model(*shown).argmax(dim=-1) == targets).float().mean()
