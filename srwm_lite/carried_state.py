"""Reading on: fast weights that are carried from one piece of a text to the next.

Chapter   chapters/10_language_model.ipynb
Tests     tests/test_carried_state.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.3.
          [2] Williams & Peng (1990), truncated backpropagation through time.

Shapes    B streams, T time in a segment, L time in a stream, N tokens.
"""

from typing import Any

from torch import Generator, Tensor, nn

from srwm_lite.arguments import check_flag, check_whole


def streams(ids: Tensor, num: int) -> tuple[Tensor, Tensor]:
    """Cut a text into `num` streams that follow each other.

    Returns
    -------
    x, target : Tensor of integers, (B, L)
        With ``L = (N - 1) // B``. Each token but the first of all is a target once; the
        last ones, fewer than B, are left out.
    """
    check_whole(1, num=num)
    check_whole(num + 1, number_of_tokens=len(ids))
    used = (len(ids) - 1) // num * num
    return ids[:used].view(num, -1), ids[1 : used + 1].view(num, -1)


def detached(state: Any) -> Any:
    """Return a state, tensors in tuples and lists, cut off from its gradients."""
    if isinstance(state, Tensor):
        return state.detach()
    if isinstance(state, tuple | list):
        return type(state)(map(detached, state))
    return state


class Carried(nn.Module):
    """Train a model on parallel streams, each segment with the memory of the last.

    The state goes from segment to segment, the gradient does not: truncated
    backpropagation through time [2]. At the end of the streams all starts anew. ::

        reader = Carried(model, ids, num=16, length=64)
        fit(reader, reader.sample, sequence_loss, steps=300)

    Where it stands, and the state, are part of its ``state_dict``: a run that is
    interrupted goes on with the same bits.

    Parameters
    ----------
    model : Module
        ``model(x, states) -> (y, states)``, such as `srwm_lite.models.SequenceModel`.
    ids : Tensor of integers, (N,)
    num : int
        Streams B that are read in parallel.
    length : int
        Tokens T in a segment.
    carry : bool
        If False, every segment starts with an empty memory; nothing else changes.
    """

    def __init__(
        self,
        model: nn.Module,
        ids: Tensor,
        *,
        num: int = 16,
        length: int = 64,
        carry: bool = True,
    ) -> None:
        super().__init__()
        check_flag(carry=carry)
        self.model, self.carry, self.length = model, carry, length
        self.x, self.target = streams(ids, num)
        check_whole(1, length=length)
        check_whole(length, tokens_in_a_stream=self.x.shape[1])
        self._place, self._states, self._next = 0, None, None

    def sample(self, generator: Generator | None = None) -> tuple[Tensor, Tensor]:
        """Return the segment where the reader stands: x and target, (B, T)."""
        now = slice(self._place, self._place + self.length)
        return self.x[:, now], self.target[:, now]

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
        """Run the model on a segment, from the state that the last one left."""
        y, states = self.model(x, self._states)
        self._next = detached(states) if self.carry else None
        return y, states

    def advance(self) -> None:
        """Go to the next segment; `srwm_lite.training.fit` does after each step."""
        self._place, self._states = self._place + self.length, self._next
        if self._place + self.length > self.x.shape[1]:
            self._place, self._states = 0, None

    def get_extra_state(self) -> dict[str, Any]:
        """Return what a checkpoint must keep besides the weights."""
        return {"place": self._place, "states": self._states}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Go back to where the checkpoint was written."""
        self._place, self._states = state["place"], state["states"]
