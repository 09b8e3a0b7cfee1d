import pytest
import torch

from srwm_lite.delta_rule import DeltaNet
from srwm_lite.few_shot import FewShot, FewShotNet
from srwm_lite.srwm import SRWM
from srwm_lite.stems import mlp_stem
from srwm_lite.task_switch import (
    TaskSwitch,
    accuracy_around,
    accuracy_by_appearance,
    appearances,
    switch_accuracy,
    switch_loss,
)


def family(sign, ways=3, size=2):
    """Return a family whose pictures carry their class, with a sign."""
    x = sign * torch.arange(1.0, 8)[:, None, None, None]
    return FewShot(x.expand(7, 4, size, size), ways)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


class Known:
    """A model that gives what it was told to give."""

    def __init__(self, answers):
        self.answers = answers

    def late(self, images, labels):
        return torch.nn.functional.one_hot(self.answers, 3).float()


@pytest.mark.parametrize("either", [True, False])
def test_a_stream_changes_its_family_once(either):
    task = TaskSwitch(family(1), family(-1), 9, 3, 6, either=either)
    images, labels, switch = task.sample(300, generator())
    signs = images[:, :, 0, 0].sign()
    for sign, when in zip(signs, switch.tolist(), strict=True):
        first = sign[0]
        assert sign.tolist() == [first] * when + [-first] * (9 - when)
    assert switch.unique().tolist() == [3, 4, 5, 6]
    assert signs[:, 0].unique().tolist() == ([-1, 1] if either else [1])
    for image, label, when in zip(images, labels, switch.tolist(), strict=True):
        for part in (slice(None, when), slice(when, None)):
            pairs = set(
                zip(image[part, 0, 0].tolist(), label[part].tolist(), strict=True)
            )
            for side in zip(*pairs, strict=True):
                assert len(set(side)) == len(pairs)


def test_appearances_by_hand():
    labels = torch.tensor([[0, 1, 0, 0, 1, 0, 2, 0]])
    counts = appearances(labels, torch.tensor([4]))
    assert counts.tolist() == [[0, 0, 1, 2, 0, 0, 0, 1]]


def test_accuracies_by_hand():
    labels = torch.tensor([[0, 1, 0, 0, 1, 0], [1, 1, 0, 0, 2, 2]])
    answers = torch.tensor([[0, 1, 1, 0, 1, 1], [1, 0, 0, 1, 2, 2]])
    switch, images = torch.tensor([3, 2]), torch.zeros(2, 6, 2, 2)
    given = Known(answers), images, labels, switch
    assert switch_accuracy(*given) == pytest.approx(8 / 12)
    around = accuracy_around(*given, before=2, after=2)
    assert around.tolist() == [1.0, 0.0, 1.0, 0.5]
    by_count = accuracy_by_appearance(*given, times=2)
    assert by_count.tolist() == pytest.approx([1.0, 0.0, 1.0, 1 / 3])


def test_a_perfect_answer_costs_nothing():
    labels = torch.tensor([[0, 1, 2, 1]])
    certain = Known(labels)
    certain.late = lambda *stream: 100 * Known.late(certain, *stream)
    assert switch_loss(certain, None, labels, None) < 1e-6


@pytest.mark.parametrize("layer", [SRWM, DeltaNet])
def test_the_memory_is_carried_over_the_switch(layer):
    torch.manual_seed(0)
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, d_model=8, layer=layer, num_heads=2)
    images, labels, _ = TaskSwitch(family(1), family(-1), 8, 4, 4).sample(
        2, generator()
    )
    y = net.eval().late(images, labels)
    images = images.clone()
    images[:, 1] += 1
    other = net.late(images, labels)
    torch.testing.assert_close(other[:, 0], y[:, 0])
    assert not torch.allclose(other[:, 4:], y[:, 4:])


def test_bad_streams_are_named():
    with pytest.raises(
        ValueError, match=r"the same .* got \(3, 2, 2\) and \(4, 2, 2\)"
    ):
        TaskSwitch(family(1), family(-1, ways=4))
    with pytest.raises(ValueError, match="length must be"):
        TaskSwitch(family(1), family(-1), 6, 3, 6)
    with pytest.raises(ValueError, match="high must be"):
        TaskSwitch(family(1), family(-1), 6, 3, 2)
