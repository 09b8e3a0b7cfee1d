"""The telephone chain: remember who calls whom, then go round without being told where.

Chapter   chapters/07_recurrent_fwp.ipynb
Tests     tests/test_chains.py

Shapes    B batch, T time, P people, N words "next".
"""

from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from srwm_lite.arguments import check_index, check_whole
from srwm_lite.scores import IGNORED

NAMES = ("Ada", "Bob", "Cy", "Dee", "Eve", "Fay")


@dataclass(frozen=True)
class TelephoneChain:
    """Follow a chain of calls that is told once.

    P people stand in a circle, in a random order, and each calls the next. A sequence
    says the P calls in another random order, then with whom to begin, then "next" and
    nothing else. The answer to each "next" is the next person. What comes in says
    neither where in the circle we are nor what was answered before.

    Parameters
    ----------
    people : int
        P, from 2 to 6.
    length : int
        N, the number of words "next".
    """

    people: int = 3
    length: int = 9

    def __post_init__(self) -> None:
        check_whole(2, people=self.people)
        check_whole(1, length=self.length)
        if self.people > len(NAMES):
            raise ValueError(f"people must be at most {len(NAMES)}: got {self.people}")

    @property
    def words(self) -> list[str]:
        """Return what each token says: the calls, the beginnings, "next"."""
        names = NAMES[: self.people]
        calls = [f"{a} calls {b}" for a in names for b in names]
        return [*calls, *(f"begin with {a}" for a in names), "next"]

    @property
    def num_in(self) -> int:
        """Return the number of tokens, ``P^2 + P + 1``."""
        return len(self.words)

    @property
    def num_out(self) -> int:
        """Return the number of answers, P."""
        return self.people

    @property
    def ceiling(self) -> float:
        """Share of right answers of whoever says the same name for ever."""
        return 1 / self.people

    def sample(
        self, batch: int, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Draw sequences.

        Returns
        -------
        x : Tensor of integers, (B, P + 1 + N)
        target : Tensor of integers, (B, P + 1 + N)
            A person, or -100 where nothing is asked.
        """
        check_whole(0, batch=batch)
        P, shape = self.people, (batch, self.people)
        order, shown = torch.rand(2, *shape, generator=generator).argsort(dim=-1)
        calls = torch.empty_like(order).scatter_(1, order, order.roll(-1, dims=1))
        said = [torch.randint(P, (batch, 1), generator=generator)]
        for _ in range(self.length):
            said.append(calls.gather(1, said[-1]))
        told = P * shown + calls.gather(1, shown)
        following = torch.full((batch, self.length), P * P + P)
        x = torch.cat([told, P * P + said[0], following], dim=1)
        silent = torch.full((batch, P + 1), IGNORED)
        return x, torch.cat([silent, *said[1:]], dim=1)

    def read(self, x: Tensor) -> list[str]:
        """Return the words of one sequence (T,)."""
        check_index("num_in", self.num_in, x=x)
        words = self.words
        return [words[token] for token in x.tolist()]

    def by_round(self, model: nn.Module, x: Tensor, target: Tensor) -> Tensor:
        """Return the share of right answers in each round of P, (N / P,).

        A whole round asks for every person once, so whoever always says the same is
        right in exactly 1 of P.
        """
        if self.length % self.people:
            raise ValueError(
                f"length must be whole rounds, a multiple of people = {self.people}: "
                f"got {self.length}"
            )
        y, _ = model(x)
        right = (y.argmax(dim=-1) == target)[:, self.people + 1 :].double()
        return right.mean(dim=0).unflatten(0, (-1, self.people)).mean(dim=1)
