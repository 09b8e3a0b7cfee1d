from functools import partial

import pytest
import torch

from srwm_lite.stems import conv_stem, mlp_stem

STEMS = {"mlp": mlp_stem, "conv": partial(conv_stem, channels=3)}


@pytest.mark.parametrize("stem", STEMS.values(), ids=STEMS)
def test_pictures_are_seen_by_themselves_in_evaluation(stem):
    torch.manual_seed(0)
    net = stem(9, 6)
    x = torch.rand(5, 9, 9)
    net(x)
    net.eval()
    assert net(x).shape == (5, 6)
    torch.testing.assert_close(net(x)[2:3], net(x[2:3]))


@pytest.mark.parametrize("stem", STEMS.values(), ids=STEMS)
def test_what_all_pictures_share_is_taken_away(stem):
    torch.manual_seed(0)
    x = torch.rand(50, 9, 9)
    y = stem(9, 6)(x)
    torch.testing.assert_close(y.mean(dim=0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        y.var(dim=0, correction=0), torch.ones(6), rtol=0.01, atol=0
    )


@pytest.mark.parametrize("stem", STEMS.values(), ids=STEMS)
def test_ink_may_come_in_any_unit(stem):
    torch.manual_seed(0)
    net, x = stem(9, 6), torch.rand(50, 9, 9)
    torch.testing.assert_close(net(255 * x), net(x), atol=1e-3, rtol=0)


def test_wrong_sizes_are_named():
    with pytest.raises(
        ValueError, match="channels must be a whole number, positive: got 0"
    ):
        conv_stem(9, 6, 0)
    with pytest.raises(
        ValueError, match="size must be a whole number, positive: got 0"
    ):
        mlp_stem(0)
