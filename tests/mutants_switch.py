"""Wrong answers to the exercises on streams with a switch, see `mutants`."""

import torch
from mutants import MUTANTS, add, mutant
from torch.nn import functional

__all__ = ["MUTANTS"]


def padded(before=1, after=0, start=0):
    """Pad in time and cut to the old length."""

    def run(v):
        longer = functional.pad(v, (0, 0, before, after))
        return longer[:, start : start + v.shape[1]]

    return run


def step_by_step(v, first=0.0):
    told = [torch.zeros_like(v[:, 0]) + first * v[:, 0]]
    for t in range(1, v.shape[1]):
        told.append(v[:, t - 1])
    return torch.stack(told, dim=1)


add(
    "one_step_late",
    the_label_is_given_away=lambda v: 1 * v,
    the_wrong_way=padded(0, 1, 1),
    the_last_label_comes_first=lambda v: v[:, torch.arange(v.shape[1]) - 1],
    the_first_label_is_given_away=lambda v: step_by_step(v, 1.0),
    two_steps_late=padded(2),
    shifted_over_the_batch=lambda v: functional.pad(v, (0, 0, 0, 0, 1, 0))[:-1],
)


def tally(own=0, begin=lambda t, switch: t == switch, every=False):
    """Keep a tally for each label, and tear it up at the switch."""

    def run(labels, switch):
        seen, counts = [], []
        for t, label in enumerate(labels.tolist()):
            if begin(t, switch):
                seen = []
            counts.append((len(seen) if every else seen.count(label)) + own)
            seen.append(label)
        return torch.tensor(counts).double()

    return run


add(
    "count_appearances",
    the_present_step_is_counted=tally(own=1),
    the_switch_is_not_noticed=tally(begin=lambda t, switch: False),
    the_switch_is_one_step_late=tally(begin=lambda t, switch: t == switch + 1),
    the_switch_is_one_step_early=tally(begin=lambda t, switch: t == switch - 1),
    all_labels_are_counted=tally(every=True),
)


def among(ahead, behind, own=0):
    """Count a label in the steps of its own side, ahead of it or behind it."""

    def run(labels, switch):
        x, counts = labels.tolist(), []
        for t, label in enumerate(x):
            low, high = (0, switch) if t < switch else (switch, len(x))
            before, later = x[low:t], x[t + 1 : high]
            n = behind * before.count(label) + ahead * later.count(label)
            counts.append(n + own)
        return torch.tensor(counts).double()

    return run


for own, behind in ((0, 0), (0, 1), (1, 1)):
    mutant("count_appearances", "later steps are counted")(among(1, behind, own))
