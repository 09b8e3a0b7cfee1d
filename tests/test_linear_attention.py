import pytest
import torch
from sequences import (
    assert_agree,
    assert_causal,
    assert_cut_anywhere,
    attention_inputs,
    start,
)

from srwm_lite.linear_attention import (
    LinearAttention,
    chunk_linear_attention,
    linear_attention,
    sum_step,
)

BOTH = pytest.mark.parametrize("backend", ["loop", "chunk"])
NORMALISE = pytest.mark.parametrize("normalise", [False, True])


def positive(*sizes, **options):
    """Return inputs as a feature map would make them, so that denominators are safe."""
    q, k, v = attention_inputs(*sizes, **options)
    return q.abs() + 0.1, k.abs() + 0.1, v


@pytest.mark.equation("eq:linear-attention")
def test_a_step_writes_then_reads_by_hand():
    W = torch.tensor([[[[1.0, 0.0]]]])
    q, k, v = (torch.tensor([[u]]) for u in ([1.0, 1.0], [0.0, 2.0], [3.0]))
    W, y = sum_step(W, q, k, v)
    assert W.tolist() == [[[[1, 6]]]]
    assert y.tolist() == [[[7]]]


@pytest.mark.equation("eq:linear-attention-normalised")
@BOTH
def test_normalised_answers_are_weighted_means_by_hand(backend):
    # keys weigh 1 and 3 for the last query, so the mean of 10 and 2 is 4
    q = torch.tensor([[1.0, 0.0], [1.0, 3.0]])[None, :, None]
    k = torch.tensor([[1.0, 0.0], [0.0, 1.0]])[None, :, None]
    v = torch.tensor([[10.0], [2.0]])[None, :, None]
    y, W = linear_attention(q, k, v, normalise=True, backend=backend)
    assert y.flatten().tolist() == [10, 4]
    assert W.tolist() == [[[[10, 2], [1, 1]]]]


@NORMALISE
@BOTH
def test_it_is_attention_without_softmax(backend, normalise):
    q, k, v = positive(dtype=torch.float64)
    weights = torch.einsum("bthk,bshk->bhts", q, k).tril()
    if normalise:
        weights = weights / weights.sum(dim=-1, keepdim=True)
    y, _ = linear_attention(q, k, v, normalise=normalise, backend=backend)
    torch.testing.assert_close(y, torch.einsum("bhts,bshv->bthv", weights, v))


@NORMALISE
@pytest.mark.parametrize(
    "sizes", [(2, 1, 3, 4, 5), (1, 7, 2, 3, 1), (2, 32, 1, 4, 4), (1, 63, 2, 5, 3)]
)
def test_chunks_equal_the_loop_forward_and_backward(sizes, normalise):
    x = positive(*sizes, dtype=torch.float64)
    W = start(*x, rows=normalise)
    assert_agree(linear_attention, x, W, "chunk", normalise=normalise)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_any_size_of_chunk_gives_the_same(size):
    x = attention_inputs(dtype=torch.float64)
    W = start(*x)
    y, end = chunk_linear_attention(*x, W, size=size)
    expected, last = linear_attention(*x, W, backend="loop")
    torch.testing.assert_close(y, expected)
    torch.testing.assert_close(end, last)


@NORMALISE
@BOTH
def test_a_sequence_can_be_cut_anywhere(backend, normalise):
    x = positive(dtype=torch.float64)
    assert_cut_anywhere(linear_attention, x, backend=backend, normalise=normalise)


@NORMALISE
@BOTH
def test_outputs_do_not_see_the_future(backend, normalise):
    options = {"backend": backend, "normalise": normalise}
    assert_causal(linear_attention, positive(), t=4, **options)


@NORMALISE
@BOTH
def test_gradients_match_finite_differences(backend, normalise):
    x = positive(B=1, T=3, H=2, K=2, V=3, dtype=torch.float64)
    inputs = [u.requires_grad_() for u in (*x, start(*x, rows=normalise).abs())]
    options = {"backend": backend, "normalise": normalise}
    assert torch.autograd.gradcheck(lambda *u: linear_attention(*u, **options), inputs)


@BOTH
def test_where_no_key_matches_the_answer_is_zero(backend):
    q, k, v = torch.zeros(1, 3, 1, 2), torch.ones(1, 3, 1, 2), torch.ones(1, 3, 1, 2)
    q.requires_grad_()
    y, _ = linear_attention(q, k, v, normalise=True, backend=backend)
    y.sum().backward()
    assert not y.any()
    assert q.grad.isfinite().all()


@BOTH
def test_the_dtype_is_kept(backend):
    for dtype in (torch.float32, torch.float64):
        y, W = linear_attention(*attention_inputs(dtype=dtype), backend=backend)
        assert y.dtype == W.dtype == dtype


def test_bad_input_is_named():
    q, k, v = attention_inputs()
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), v \(2, 6, 3, 5\)"):
        linear_attention(q, k, v[:, 1:])
    with pytest.raises(ValueError, match=r"k \(2, 7, 3, 4\), q \(2, 7, 2, 4\)"):
        linear_attention(q[:, :, 1:], k, v)
    with pytest.raises(ValueError, match=r"q must have shape \(B, T, H, K\): got \(2"):
        linear_attention(q[:, :, 0], k, v)
    with pytest.raises(ValueError, match="k and q must share dtype"):
        linear_attention(q.double(), k, v)
    with pytest.raises(ValueError, match=r"= \(2, 3, 6, 4\): got \(2, 3, 5, 4\)"):
        linear_attention(q, k, v, start(q, k, v), normalise=True)
    with pytest.raises(ValueError, match="no backend 'chunks'"):
        linear_attention(q, k, v, backend="chunks")


@BOTH
@pytest.mark.parametrize("axis", [1, 2, 3])
def test_empty_sequences_are_refused(backend, axis):
    x = [u.narrow(axis, 0, 0) for u in attention_inputs(K=4, V=4)]
    with pytest.raises(ValueError, match="T, H, K and V must be positive, got k "):
        linear_attention(*x, backend=backend)


@BOTH
def test_an_empty_batch_is_no_error(backend):
    y, W = linear_attention(*attention_inputs(B=0), backend=backend)
    assert y.shape == (0, 7, 3, 5)
    assert W.shape == (0, 3, 5, 4)


@NORMALISE
def test_the_layer_programs_the_memory_and_reads_it(normalise):
    net, x = LinearAttention(8, 2, normalise=normalise), torch.randn(2, 6, 8)
    q, k, v = net.program(x)
    assert q.shape == k.shape == v.shape == (2, 6, 2, 4)
    assert (q > 0).all()
    assert (k > 0).all()
    y, W = net(x)
    expected, last = linear_attention(q, k, v, normalise=normalise, backend="loop")
    torch.testing.assert_close(y, net.out(expected.flatten(2)))
    torch.testing.assert_close(W, last)


def test_the_state_of_the_layer_carries_on_and_the_switch_stops_the_writing():
    net, x = LinearAttention(8, 2), torch.randn(2, 6, 8)
    y, _ = net(x)
    first, W = net(x[:, :2])
    torch.testing.assert_close(torch.cat([first, net(x[:, 2:], W)[0]], dim=1), y)
    net.writes = False
    assert not net(x)[0].any()


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (3, "num_heads=3 does not divide d_model=8"),
        *((bad, f"num_heads must be a whole .* got {bad!r}") for bad in (0, 2.0, "2")),
    ],
)
def test_heads_must_divide_the_width(heads, message):
    with pytest.raises(ValueError, match=message):
        LinearAttention(8, heads)
