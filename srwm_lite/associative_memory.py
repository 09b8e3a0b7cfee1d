"""The memory of the retrieval experiments: store pairs, answer one query.

Chapters  chapters/04_feature_maps.ipynb, chapters/05_delta_rule.ipynb
Tests     tests/test_models.py
Sources   [1] Schlag, Irie & Schmidhuber (2021), arXiv:2102.11174, section 6.1.

Shapes    B batch, L pairs in a sequence, S number of keys, K key size, C copies.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from srwm_lite import backends
from srwm_lite.delta_rule import delta_rule
from srwm_lite.feature_maps import check_map, elu_plus_one, name_of, sum_normalise
from srwm_lite.linear_attention import linear_attention

RULES = ("sum", "delta", "softmax")


class AssociativeMemory(nn.Module):
    """One fast weight matrix that stores pairs and answers one query [1].

    ::

        k = phi(W_k [value; embedding of the key])
        v = value, a one-hot vector
        q = phi(W_q embedding of the key)

    Parameters
    ----------
    num_keys : int
        Number S of keys, and of values.
    d_key : int
        Size of keys and queries before the feature map.
    feature_map : callable
        `phi`; called once for queries and keys together, so that a random map may draw
        its projection anew in every call.
    rule : str
        ``"sum"``, ``"delta"``, or ``"softmax"`` (attention over the pairs, no map).
    normalise : bool
        With ``"sum"`` divide by ``z . q``; with ``"delta"`` sum-normalise `q` and `k`.
    copies : int
        Train C independent memories at once: a cheap way to see several seeds.

    Attributes
    ----------
    writes : bool
        Set to False to switch the memory off: every answer is zero.
    """

    def __init__(
        self,
        num_keys: int,
        *,
        d_key: int = 64,
        feature_map: Callable[[Tensor], Tensor] = elu_plus_one,
        rule: str = "sum",
        normalise: bool = True,
        copies: int = 1,
    ) -> None:
        super().__init__()
        if rule not in RULES:
            raise ValueError(f"rule must be one of {', '.join(RULES)}: got {rule!r}")
        backends.check_whole(1, num_keys=num_keys, d_key=d_key, copies=copies)
        backends.check_flag(normalise=normalise)
        check_map(feature_map)
        self.num_keys, self.copies, self.rule = num_keys, copies, rule
        self.feature_map, self.normalise, self.writes = feature_map, normalise, True
        E = int(2.2 * num_keys)
        self.key_embedding = nn.Parameter(torch.randn(copies, num_keys, E))
        self.to_key = _slow(copies, num_keys + E, d_key)
        self.to_query = _slow(copies, E, d_key)
        self.to_beta = _slow(copies, num_keys + E, 1) if rule == "delta" else None

    def extra_repr(self) -> str:
        """Name what the parameters do not show."""
        return (
            f"{self.num_keys}, d_key={self.to_key.shape[2]}, rule={self.rule!r}, "
            f"feature_map={name_of(self.feature_map)}, normalise={self.normalise}, "
            f"copies={self.copies}"
        )

    def program(self, keys: Tensor, values: Tensor, query: Tensor) -> list[Tensor]:
        """Return q, k, v, and beta for the delta rule, from indices (C, B, ...).

        Shapes (B, 1, C, K), (B, L, C, K), (B, L, C, S), (B, L, C): each copy is a head.
        """
        q = _look_up(self.key_embedding @ self.to_query, query[..., None])
        q, k = self._map(q, self._of_pairs(self.to_key, keys, values))
        v = functional.one_hot(values, self.num_keys).movedim(0, 2).to(k) * self.writes
        if self.to_beta is None:
            return [q, k, v]
        beta = self._of_pairs(self.to_beta, keys, values)[..., 0].sigmoid()
        return [q, k, v, beta * self.writes]

    def _of_pairs(self, slow: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        # slow @ [one-hot; embedding]: the one-hot part of a product is a look-up
        value, embedding = slow[:, : self.num_keys], slow[:, self.num_keys :]
        return _look_up(value, values) + _look_up(self.key_embedding @ embedding, keys)

    def _map(self, q: Tensor, k: Tensor) -> Sequence[Tensor]:
        x = torch.cat([q, k], dim=1)
        if self.rule != "softmax":
            x = self.feature_map(x)
        if self.rule == "delta" and self.normalise:
            x = sum_normalise(x)
        return x.split([1, k.shape[1]], dim=1)

    def forward(self, keys: Tensor, values: Tensor, query: Tensor) -> Tensor:
        """Store every pair, then answer.

        Parameters
        ----------
        keys, values : Tensor of integers, (B, L) or (C, B, L)
            The same sequences for all copies, or its own for each.
        query : Tensor of integers, (B,) or (C, B)
            The key asked for.

        Returns
        -------
        Tensor, (B, S), or (C, B, S) if there are copies
        """
        self._check(keys, values, query)
        one = self.copies == 1 and keys.dim() == 2
        if keys.dim() == 2:
            keys, values, query = (
                x.expand(self.copies, *x.shape) for x in (keys, values, query)
            )
        y = self._answer(*self.program(keys, values, query)).transpose(0, 1)
        return y[0] if one else y

    def _answer(self, q: Tensor, k: Tensor, v: Tensor, *beta: Tensor) -> Tensor:
        if self.rule == "softmax":
            q, k, v = (x.transpose(1, 2) for x in (q, k, v))
            return functional.scaled_dot_product_attention(q, k, v)[:, :, 0]
        q = q.expand_as(k)
        if self.rule == "delta":
            return delta_rule(q, k, v, *beta)[0][:, -1]
        return linear_attention(q, k, v, normalise=self.normalise)[0][:, -1]

    def _check(self, keys: Tensor, values: Tensor, query: Tensor) -> None:
        indices = {"keys": keys, "values": values, "query": query}
        backends.check_index("num_keys", self.num_keys, **indices)
        copies = keys.shape[:-2]
        if copies not in ((), (self.copies,)) or keys.dim() < 2:
            raise ValueError(
                f"keys must have shape (B, L) or ({self.copies}, B, L) for "
                f"{self.copies} copies: got {tuple(keys.shape)}"
            )
        if values.shape != keys.shape or query.shape != keys.shape[:-1]:
            raise ValueError(
                f"values must have the shape of keys, query the same without L: got "
                f"keys {tuple(keys.shape)}, values {tuple(values.shape)}, "
                f"query {tuple(query.shape)}"
            )


def _slow(copies: int, size_in: int, size_out: int) -> nn.Parameter:
    bound = 1 / math.sqrt(size_in)
    return nn.Parameter(torch.empty(copies, size_in, size_out).uniform_(-bound, bound))


def _look_up(table: Tensor, index: Tensor) -> Tensor:
    """Read rows of a `table` (C, S, D) for each copy; (C, B, L) to (B, L, C, D)."""
    copies, size, _ = table.shape
    offset = size * torch.arange(copies, device=index.device)
    return functional.embedding(index.movedim(0, 2) + offset, table.flatten(0, 1))
