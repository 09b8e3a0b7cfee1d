import base64
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional
from widget_page import run_in_node, state

from srwm_lite import trace
from srwm_lite.delta_rule import delta_rule, delta_step
from srwm_lite.outer_product import write
from srwm_lite.scan import unroll
from srwm_lite.widgets import WeightPlayer
from srwm_lite.widgets.film import MOST, quantise


def sequence(T, K, V, keys=None):
    """Return keys of length one, values, and the films of both rules."""
    k = functional.normalize(torch.randn(T, K), dim=-1)
    if keys is not None:
        k = torch.eye(K)[keys]
    v = torch.randn(T, V)
    total, delta = [torch.zeros(V, K)], [torch.zeros(V, K)]
    for k_t, v_t in zip(k, v, strict=True):
        total.append(write(total[-1], k_t, v_t))
        delta.append(delta_step(delta[-1], k_t, k_t, v_t, torch.tensor(0.5))[0])
    return k, v, torch.stack(total), torch.stack(delta)


def payload(player):
    data = base64.b64encode(player.data).decode()
    return {"films": player.films, "data": data}


def seen(player, folder):
    return run_in_node(player, "film.mjs", payload(player), folder)


def test_small_films_arrive_exactly(tmp_path):
    k, v, total, delta = sequence(7, 4, 3)
    films = seen(WeightPlayer(total, delta, k=k, v=v, q=k), tmp_path)
    for film, W in zip(films, (total, delta), strict=True):
        assert torch.equal(torch.tensor(film["W"]).reshape(W.shape), W)
        norm = W.flatten(1).norm(dim=-1)
        torch.testing.assert_close(torch.tensor(film["norm"]), norm)


def test_long_films_arrive_within_half_a_step(tmp_path):
    _, _, _, delta = sequence(80, 24, 24)
    film = seen(WeightPlayer(delta), tmp_path)[0]
    _, scales = quantise(delta.numpy())
    found = np.reshape(film["W"], delta.shape)
    error = np.abs(found - delta.numpy()).max(axis=(1, 2))
    assert (error <= 0.51 * scales + 1e-6).all()
    assert error.max() < 0.01 * delta.abs().max()


def test_what_was_written_and_removed_is_what_changed(tmp_path):
    k, v, total, delta = sequence(6, 4, 3, keys=[0, 1, 0, 2, 1, 0])
    beta = torch.full((6,), 0.5)
    adds = seen(WeightPlayer(total, k=k, v=v), tmp_path)[0]["parts"]
    corrects = seen(WeightPlayer(delta, k=k, v=v, beta=beta), tmp_path)[0]["parts"]
    for step in adds + corrects:
        moved = np.add(step["written"], step["removed"])
        np.testing.assert_allclose(moved, step["changed"], atol=1e-5)
    assert not any(any(step["removed"]) for step in adds)
    assert any(corrects[3]["removed"])
    wanted = 0.5 * v[2][:, None] * k[2]
    np.testing.assert_allclose(
        corrects[3]["written"], wanted.flatten().numpy(), atol=1e-6
    )


def test_a_key_finds_its_last_write_and_the_nearest_value(tmp_path):
    k, v, *_ = sequence(6, 4, 3, keys=[0, 1, 0, 2, 1, 0])
    delta = [torch.zeros(3, 4)]
    for k_t, v_t in zip(k, v, strict=True):
        delta.append(delta_step(delta[-1], k_t, k_t, v_t, torch.tensor(1.0))[0])
    film = seen(WeightPlayer(torch.stack(delta), k=k, v=v), tmp_path)[0]
    assert film["last"] == film["nearest"] == 6
    assert film["keys"] == [[1, 3, 6], [2, 5], [4]]


def test_takes_what_trace_records(tmp_path):
    q, k, v = (torch.randn(2, 5, 3, n) for n in (4, 4, 6))
    beta = torch.rand(2, 5, 3)
    with trace.record() as recording:
        delta_rule(q, k, v, beta, backend="loop")
    player = WeightPlayer(recording.film(0, batch=1, head=2))
    assert player.films[0]["title"] == "delta rule"
    frames = [
        W[1, 2] for W, _ in unroll(delta_step, torch.zeros(2, 3, 6, 4), q, k, v, beta)
    ]
    found = torch.tensor(seen(player, tmp_path)[0]["W"]).reshape(6, 6, 4)
    torch.testing.assert_close(found[1:], torch.stack(frames))


def test_two_hundred_steps_of_32_by_32_weigh_little():
    k, v, _, delta = sequence(200, 32, 32)
    player = WeightPlayer(delta, k=k, v=v, q=k, beta=torch.full((200,), 0.5))
    only = {player.model_id: state(player)["state"][player.model_id]}
    assert len(json.dumps(only)) <= 600_000


def test_equal_arrays_travel_once():
    k, v, total, delta = sequence(20, 8, 8)
    both = len(WeightPlayer(total, delta, k=k, v=v, q=k).data)
    alone = len(WeightPlayer(total, k=k, v=v, q=k).data)
    assert both - alone <= 4 * (21 * 64 + 2 * 21 * 8)


def test_words_tell_the_film():
    W = torch.zeros(4, 2, 2)
    W[1:, 0, 0], W[2:, 1, 1], W[3, 1, 1] = 3, 4, 0
    player = WeightPlayer(W, titles=["sum rule"])
    assert repr(player) == (
        "Film of fast weights, 3 steps. sum rule: matrix of 2 rows and 2 columns, "
        "norm from 0 to 3, rank from 0 to 1, largest change at step 2."
    )


def test_an_exploding_film_is_shown_and_said():
    W = torch.ones(5, 2, 2).cumprod(0)
    W[3:] = torch.inf
    player = WeightPlayer(W)
    assert "no longer finite from step 3 on" in player.words()
    assert player.png().startswith(b"\x89PNG")


@pytest.mark.parametrize("size", [4, 32])
def test_printed_form(size):
    _, _, total, delta = sequence(60, size, size)
    player = WeightPlayer(total, delta, titles=["sum", "delta"])
    data, _ = player._repr_mimebundle_()
    png = base64.b64decode(data["image/png"])
    assert png.startswith(b"\x89PNG")
    assert len(png) < 40_000
    assert data["text/plain"] == repr(player) == player.words()
    assert "application/vnd.jupyter.widget-view+json" in data


def test_starts_at_the_end_or_where_told():
    W = torch.zeros(5, 2, 2)
    assert WeightPlayer(W).step == 4
    assert WeightPlayer(W, step=0).step == 0


FILM = torch.zeros(4, 2, 3)


@pytest.mark.parametrize(
    ("films", "options", "message"),
    [
        ((), {}, "at least one film"),
        ((FILM[0],), {}, r"shape \(T \+ 1, V, K\), start included: got \(2, 3\)"),
        ((FILM, FILM[:2]), {}, r"same number of steps: got \[3, 1\]"),
        ((FILM,), {"titles": ["a", "b"]}, "got 2 titles, 1 films"),
        ((FILM,), {"titles": "a"}, r"titles must be a list of names: use \['a'\]"),
        ((SimpleNamespace(W=FILM),), {"k": FILM[0]}, "k is already in the film: leave"),
        ((trace.Recording(),), {}, r"choose one, recording.film\(0\)"),
        ((FILM,), {"labels": ["a"]}, "labels must name T = 3 steps: got 1 labels"),
        ((FILM,), {"step": 9}, "step must be from 0 to T = 3: got 9"),
        (
            (FILM,),
            {"k": torch.zeros(3, 2)},
            r"k must have shape \(3, 3\) .* got \(3, 2\)",
        ),
        ((torch.zeros(MOST // 4, 2, 3),), {}, f"at most {MOST} numbers"),
        ((torch.full((99, 20, 20), torch.nan),), {}, "not finite from step 0 on"),
    ],
)
def test_bad_input_is_named(films, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        WeightPlayer(*films, **options)


def test_any_object_with_matrices_is_a_film():
    film = SimpleNamespace(W=np.ones((3, 2, 2)), idea="my own", labels=["a", "b"])
    player = WeightPlayer(film)
    assert player.films[0]["title"] == "my own"
    assert player.films[0]["labels"] == ["a", "b"]


def test_module_stands_alone():
    for line in WeightPlayer(FILM)._esm.splitlines():
        assert not line.startswith("import ")
