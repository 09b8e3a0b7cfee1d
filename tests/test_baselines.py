import pytest
import torch
from torch import nn

from srwm_lite.baselines import LSTM
from srwm_lite.models import recurrence_off, writes_off


def cells(net, x, hears=True):
    """Run the equations of the LSTM, gates in torch's order i, f, g, o."""
    p = dict(net.lstm.named_parameters())
    h = c = torch.zeros(len(x), x.shape[-1])
    ys = []
    for x_t in x.unbind(dim=1):
        a = x_t @ p["weight_ih_l0"].T + p["bias_ih_l0"] + p["bias_hh_l0"]
        i, f, g, o = (a + hears * (h @ p["weight_hh_l0"].T)).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        ys.append(h)
    return torch.stack(ys, dim=1), h, c


@pytest.mark.parametrize("hears", [True, False])
def test_the_lstm_follows_its_equations(hears):
    net, x = LSTM(6), torch.randn(3, 5, 6)
    net.recurrence = hears
    y, (h, c) = net(x)
    for ours, expected in zip((y, h, c), cells(net, x, hears), strict=True):
        torch.testing.assert_close(ours, expected)


def test_the_state_of_the_lstm_carries_on():
    net, x = LSTM(6, 2), torch.randn(3, 5, 6)
    y, end = net(x)
    first, middle = net(x[:, :2])
    rest, last = net(x[:, 2:], middle)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), y)
    torch.testing.assert_close(last, end)


def test_without_writes_the_lstm_sees_one_step():
    net, x = LSTM(6), torch.randn(3, 5, 6)
    with writes_off(net):
        torch.testing.assert_close(net(x)[0], net(x.flip(1))[0].flip(1))
        y, (h, c) = net(x)
    assert not h.any()
    assert not c.any()
    torch.testing.assert_close(y[:, :1], net(x[:, :1])[0])
    assert not torch.allclose(net(x)[0], y)


def test_without_recurrence_the_recurrent_weights_learn_nothing():
    net, x = LSTM(6), torch.randn(3, 5, 6)
    with recurrence_off(net):
        net(x)[0].sum().backward()
    assert net.lstm.weight_hh_l0.grad is None or not net.lstm.weight_hh_l0.grad.any()
    assert net.lstm.weight_ih_l0.grad.any()


def test_bad_input_of_the_lstm_is_named():
    net, x = LSTM(6), torch.randn(3, 5, 6)
    with pytest.raises(ValueError, match=r"D = 6 entries: got x \(3, 5, 5\)"):
        net(x[..., 1:])
    with pytest.raises(ValueError, match=r"T >= 1 steps .* got x \(3, 0, 6\)"):
        net(x[:, :0])
    with pytest.raises(ValueError, match=r"state must be \(h, c\) .* got Tensor"):
        net(x, torch.zeros(3, 6))
    with pytest.raises(ValueError, match=r"c in state \(h, c\) .* \(3, 6\): got"):
        net(x, (torch.zeros(3, 6), torch.zeros(3, 5)))
    with pytest.raises(ValueError, match="weight and x must share dtype"):
        net(x.double())
    with pytest.raises(ValueError, match="num_heads=4 does not divide d_model=6"):
        LSTM(6, 4)


def test_a_model_that_never_hears_itself_has_no_such_switch():
    with pytest.raises(ValueError, match="no part with a switch 'recurrence'"):
        with recurrence_off(nn.Linear(2, 2)):
            pass
