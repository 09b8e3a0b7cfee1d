import pytest
import torch

from srwm_lite import (
    delta_delta,
    delta_lstm,
    delta_mlp,
    delta_rnn,
    recurrent_delta,
    recurrent_fwp,
)
from srwm_lite.models import SequenceModel, recurrence_off
from srwm_lite.recurrent_fwp import (
    DeltaDelta,
    DeltaLSTM,
    DeltaMLP,
    DeltaRNN,
    RecurrentDeltaNet,
)

ALL = [DeltaRNN, RecurrentDeltaNet, DeltaLSTM, DeltaMLP, DeltaDelta]
ROOMS = [delta_delta, delta_lstm, delta_mlp, delta_rnn, recurrent_delta]


def test_the_door_opens_every_room():
    for name in recurrent_fwp.__all__:
        thing = getattr(recurrent_fwp, name)
        assert any(getattr(room, name, None) is thing for room in ROOMS), name
    layers = {layer.__name__ for layer in ALL}
    assert layers <= set(recurrent_fwp.__all__)


@pytest.mark.parametrize("layer", ALL)
def test_only_who_hears_its_output_has_the_switch(layer):
    net = SequenceModel(3, 2, 8, layer=layer, num_heads=2)
    hears = layer in (DeltaRNN, RecurrentDeltaNet, DeltaLSTM)
    assert hasattr(net.blocks[0].layer, "recurrence") == hears
    if not hears:
        with pytest.raises(ValueError, match="'recurrence'"), recurrence_off(net):
            pass


@pytest.mark.parametrize("layer", [DeltaRNN, RecurrentDeltaNet, DeltaLSTM])
def test_a_wrong_output_in_the_past_changes_the_next_one_and_the_switch_ends_that(
    layer,
):
    # the last part of the state is the output; a first step has filled the memories
    net = layer(8, 2)

    def next_outputs():
        _, (*memories, y) = net(x[:, :1])
        memories = tuple(memories)
        return [net(x[:, 1:], (*memories, u))[0] for u in (y, 3 - y)]

    x = torch.randn(2, 2, 8)
    assert not torch.allclose(*next_outputs())
    with recurrence_off(net):
        assert torch.equal(*next_outputs())
