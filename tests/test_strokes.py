import pytest
import torch

from srwm_lite.strokes import (
    alphabet,
    bezier,
    characters,
    ink,
    render,
    write_by_hand,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_curve_begins_and_ends_at_its_control_points():
    control = torch.rand(3, 4, 2)
    ends = bezier(control, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(ends, control[:, [0, 3]])


def test_the_middle_of_a_curve_by_hand():
    # (c0 + 3 c1 + 3 c2 + c3) / 8
    control = torch.tensor([[0.0, 0], [8, 0], [0, 8], [8, 8]])
    assert bezier(control, torch.tensor([0.5])).tolist() == [[4, 4]]


def test_characters_have_two_to_four_strokes_and_fill_the_square():
    control = characters(200, generator())
    strokes = (~control.isnan()).all(dim=(2, 3)).sum(dim=1)
    assert strokes.unique().tolist() == [2, 3, 4]
    for one in control:
        places = one[~one.isnan()].view(-1, 2)
        size = places.amax(dim=0) - places.amin(dim=0)
        assert size.max().item() == pytest.approx(0.72, abs=1e-4)
        middle = (places.amax(dim=0) + places.amin(dim=0)) / 2
        torch.testing.assert_close(middle, torch.full((2,), 0.5))


def test_a_steady_hand_draws_the_same_and_a_free_one_does_not():
    control = characters(5, generator())
    same = render(write_by_hand(control, 3, hand=0), 14)
    torch.testing.assert_close(same[:, 0], same[:, 2])
    free = render(write_by_hand(control, 3), 14)
    assert (free[:, 0] - free[:, 2]).abs().amax(dim=(1, 2)).min() > 0.1


def test_ink_lies_along_the_stroke():
    level = torch.tensor([[0.1, 0.5], [0.3, 0.5], [0.6, 0.5], [0.9, 0.5]])
    control = torch.full((4, 4, 2), torch.nan)
    control[0] = level
    ink = render(control, 21)
    assert ink.shape == (21, 21)
    assert ink[10, 3:18].min() > 0.85
    assert ink[:5].max() < 1e-3


def test_ink_of_two_points_by_hand():
    points = torch.tensor([[0.25, 0.25], [0.75, 0.25], [torch.nan, torch.nan]])
    near, far = torch.exp(torch.tensor([-0.0, -(0.5**2) / 0.02])).tolist()
    picture = ink(points, 2, width=0.1)
    torch.testing.assert_close(picture, torch.tensor([[near, near], [far, far]]))
    assert ink(points[2:], 3).sum() == 0


def test_drawings_of_one_character_are_nearer_than_those_of_others():
    x = alphabet(30, 4, 14, hand=0.5).flatten(2)
    mine = (x[:, 0] - x[:, 1]).norm(dim=1)
    other = (x[:, 0] - x.roll(1, 0)[:, 1]).norm(dim=1)
    assert (mine < other).float().mean() > 0.9


def test_a_seed_gives_the_same_alphabet():
    assert torch.equal(alphabet(3, 2, 8, seed=1), alphabet(3, 2, 8, seed=1))
    assert not torch.equal(alphabet(3, 2, 8, seed=1), alphabet(3, 2, 8, seed=2))
    assert alphabet(0, 2, 8).shape == (0, 2, 8, 8)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="drawings must be a whole number, positive"):
        alphabet(2, 0)
    with pytest.raises(ValueError, match="hand must be from 0 to 3"):
        alphabet(2, 2, hand=9)


def test_straight_strokes_are_straight_and_begin_alike():
    control = characters(50, torch.Generator().manual_seed(0), straight=True)
    along = control[..., 3, :] - control[..., 0, :]
    for i in (1, 2):
        offset = control[..., i, :] - control[..., 0, :]
        aside = along[..., 0] * offset[..., 1] - along[..., 1] * offset[..., 0]
        assert aside.nan_to_num().abs().max() < 1e-6
    bent = characters(50, torch.Generator().manual_seed(0))
    assert torch.equal(bent.isnan(), control.isnan())
