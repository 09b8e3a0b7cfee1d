"""The smallest task that needs a rule learned in context, with a known ceiling.

Chapter   chapters/11_srwm.ipynb
Tests     tests/test_boolean_rules.py

Shapes    B batch, T = 5 time steps: four examples, then a question.
"""

from itertools import permutations
from typing import ClassVar

import torch
from torch import Generator, Tensor

from srwm_lite.arguments import check_index, check_whole
from srwm_lite.scores import IGNORED

RULES = {
    "AND": (0, 0, 0, 1),
    "OR": (0, 1, 1, 1),
    "XOR": (0, 1, 1, 0),
    "NAND": (1, 1, 1, 0),
}


class BooleanRules:
    """Show a Boolean function on all four inputs, then ask for one of them.

    Every sequence draws one of AND, OR, XOR and NAND, shows ``(a, b, answer)`` for the
    four inputs in random order and asks for one of them again. A step is a vector of
    seven numbers: `a`, `b` and the answer, each one-hot, and a one if it is a question,
    where the answer is missing.

    Who sees only the present step knows the input and not the rule. Of the four rules
    three agree on the inputs 00, 01 and 10, and two on 11, so that the best such answer
    is right in 3/4, 3/4, 3/4 and 1/2 of the cases: the `ceiling` is 11/16.
    """

    num_in, num_out, length = 7, 2, 5
    rules: ClassVar[Tensor] = torch.tensor(list(RULES.values()))

    @property
    def ceiling(self) -> float:
        """Return the accuracy of the best answer that knows only the present step."""
        votes = self.rules.float().mean(dim=0)
        return torch.maximum(votes, 1 - votes).mean().item()

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw a batch of sequences.

        Returns
        -------
        x : Tensor, (B, 5, 7)
        target : Tensor of integers, (B, 5)
            The answer at the last step, -100 at the others.
        """
        check_whole(0, batch=batch)
        rule = torch.randint(len(self.rules), (batch, 1), generator=generator)
        order = torch.rand(batch, 4, generator=generator).argsort(dim=1)
        asked = torch.randint(4, (batch, 1), generator=generator)
        return self.sequences(rule[:, 0], torch.cat([order, asked], dim=1))

    def every(self) -> tuple[Tensor, Tensor]:
        """Write out all sequences: rules by 24 orders by 4 questions, in this order.

        On these, a right share above `ceiling` is impossible without a memory.
        """
        orders = torch.tensor(list(permutations(range(4))))
        sizes = len(self.rules), len(orders), 4
        rule, order, asked = torch.cartesian_prod(*map(torch.arange, sizes)).T
        return self.sequences(rule, torch.cat([orders[order], asked[:, None]], dim=1))

    def sequences(self, rule: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Write out given sequences.

        Parameters
        ----------
        rule : Tensor of integers, (B,)
            Places in `rules`.
        inputs : Tensor of integers, (B, 5)
            ``2 a + b`` for the four inputs that are shown and the one that is asked.

        Returns
        -------
        x, target : Tensor
            As from `sample`.
        """
        _check_sequences(rule, inputs, len(self.rules))
        answers = self.rules[rule[:, None], inputs]
        x = torch.zeros(*inputs.shape, self.num_in)
        columns = torch.stack([inputs // 2, 2 + inputs % 2, 4 + answers], dim=-1)
        x.scatter_(2, columns, 1)
        x[:, -1, 4:] = torch.tensor([0.0, 0.0, 1.0])
        target = torch.full_like(answers, IGNORED)
        target[:, -1] = answers[:, -1]
        return x, target


def _check_sequences(rule: Tensor, inputs: Tensor, rules: int) -> None:
    if rule.dim() != 1 or inputs.shape != (len(rule), BooleanRules.length):
        raise ValueError(
            f"rule must have shape (B,) and inputs (B, {BooleanRules.length}): got "
            f"rule {tuple(rule.shape)}, inputs {tuple(inputs.shape)}"
        )
    check_index("the number of rules", rules, rule=rule)
    check_index("the number of inputs", 4, inputs=inputs)
