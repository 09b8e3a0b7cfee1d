import pytest
import torch

from srwm_lite.baselines import LSTM, SoftmaxAttention
from srwm_lite.delta_rule import DeltaNet
from srwm_lite.few_shot import (
    FewShot,
    FewShotNet,
    few_shot_accuracy,
    few_shot_loss,
    metric_loss,
    prototype_logits,
    repeated,
)
from srwm_lite.srwm import SRWM
from srwm_lite.stems import mlp_stem


def numbered(C=7, N=4, size=2):
    """Return pictures that carry their class and their drawing."""
    x = torch.zeros(C, N, size, size)
    x[:, :, 0, 0] = torch.arange(C)[:, None]
    x[:, :, 0, 1] = torch.arange(N)
    return x


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_an_episode_names_its_classes_consistently():
    task = FewShot(numbered(), ways=3, shots=2, queries=6)
    support, labels, queries, targets = task.sample(50, generator())
    assert support.shape == (50, 6, 2, 2)
    assert queries.shape == (50, 6, 2, 2)
    for s, label, q, target in zip(support, labels, queries, targets, strict=True):
        assert label.bincount().tolist() == [2, 2, 2]
        meaning = {int(n): int(x[0, 0]) for x, n in zip(s, label, strict=True)}
        assert len(set(meaning.values())) == 3
        assert [meaning[int(n)] for n in target] == q[:, 0, 0].int().tolist()
        shown = {tuple(x[0].tolist()) for x in s}
        assert len(shown) == 6
        assert not shown & {tuple(x[0].tolist()) for x in q}


def test_turned_classes_are_classes_of_their_own():
    task = FewShot(numbered(), ways=28, queries=1, rotations=True)
    assert task.num_classes == 28
    support, *_ = task.sample(1, generator())
    place = support.flatten(2).ne(0).long()
    assert len({tuple(x.flatten().tolist()) for x in support[0]}) > 7
    assert place.sum() > 0


def test_a_stream_shows_what_its_labels_say():
    images, labels = FewShot(numbered(), ways=3).stream(20, 30, generator())
    for x, label in zip(images, labels, strict=True):
        pairs = {(int(n), int(p[0, 0])) for n, p in zip(label, x, strict=True)}
        assert len(pairs) == len({n for n, _ in pairs}) == len({c for _, c in pairs})


@pytest.mark.parametrize("layer", [SRWM, DeltaNet, LSTM, SoftmaxAttention])
def test_queries_do_not_hear_of_each_other(layer):
    torch.manual_seed(0)
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, d_model=8, layer=layer, num_heads=2)
    net.eval()
    support, labels, queries, _ = FewShot(numbered(), ways=3).sample(4, generator())
    y = net(support, labels, queries)
    assert y.shape == (4, 5, 3)
    alone = [net(support, labels, q) for q in queries.split(1, dim=1)]
    torch.testing.assert_close(torch.cat(alone, dim=1), y)


def test_labels_come_one_step_late():
    torch.manual_seed(0)
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, d_model=8, layer=SRWM, num_heads=2).eval()
    images, labels = FewShot(numbered(), ways=3).stream(2, 6, generator())
    y = net.late(images, labels)
    labels[:, 3] = (labels[:, 3] + 1) % 3
    changed = net.late(images, labels)
    torch.testing.assert_close(changed[:, :4], y[:, :4])
    assert not torch.equal(changed[:, 4:], y[:, 4:])


def test_the_switch_takes_the_memory_away():
    torch.manual_seed(0)
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, d_model=8, layer=DeltaNet)
    support, labels, queries, _ = FewShot(numbered(), ways=3).sample(4, generator())
    net.mixer.blocks[0].layer.writes = False
    y = net(support, labels, queries)
    other = net(support, (labels + 1) % 3, queries)
    torch.testing.assert_close(y, other)


def test_loss_and_accuracy_look_at_the_queries():
    def perfect(support, labels, queries):
        y = (support[:, None, :, 0, 0] == queries[:, :, None, 0, 0]).float()
        return 100 * y @ torch.eye(3)[labels]

    episode = FewShot(numbered(), ways=3).sample(8, generator())
    assert few_shot_accuracy(perfect, *episode) == 1
    assert few_shot_loss(perfect, *episode) < 1e-6


def test_a_reminder_shows_the_last_picture_again():
    torch.manual_seed(0)
    sizes = {"d_model": 8, "layer": SRWM, "num_heads": 2}
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, reminder=True, **sizes).eval()
    net.mixer.embed.weight.data[:, :8] = 0  # deaf to the present picture
    images, labels = FewShot(numbered(), ways=3).stream(2, 6, generator())
    y = net.late(images, labels)
    images[:, 3] = 1 - images[:, 3]
    changed = net.late(images, labels)
    torch.testing.assert_close(changed[:, :4], y[:, :4])
    assert not torch.equal(changed[:, 4:], y[:, 4:])
    assert net(images[:, :3], labels[:, :3], images[:, 3:]).shape == (2, 3, 3)


@pytest.mark.equation("eq:prototypes")
def test_prototypes_are_the_means_of_their_classes():
    shown = torch.tensor([[[0.0, 0], [2, 0], [0, 4], [0, 8]]])
    labels = torch.tensor([[1, 1, 0, 0]])
    y = prototype_logits(shown, labels, torch.tensor([[[1.0, 0], [0, 6]]]), ways=2)
    far = -37 / 2**0.5
    torch.testing.assert_close(y, torch.tensor([[[far, 0], [0, far]]]))


def test_the_lesson_of_the_stem_reaches_the_stem_alone():
    torch.manual_seed(0)
    net = FewShotNet(mlp_stem(2, 8, 8), 8, 3, d_model=8, layer=SRWM, num_heads=2)
    episode = FewShot(numbered(), ways=3).sample(4, generator())
    first = few_shot_loss(net, *episode)
    both = few_shot_loss(net, *episode, metric=2.0)
    shown, asked = net.see_all(episode.support, episode.queries)
    lesson = metric_loss(shown, episode.labels, asked, episode.targets)
    torch.testing.assert_close(both, first + 2 * lesson)
    assert lesson > 0
    lesson.backward()
    assert all(p.grad is None for p in net.mixer.parameters())
    assert all(p.grad is not None for p in net.stem.parameters())


def test_states_of_every_kind_are_repeated():
    x = torch.tensor([[1], [2]])
    assert repeated((x, [x, None]), 2)[1][0].tolist() == [[1], [1], [2], [2]]
    assert repeated(None, 3) is None


def test_too_few_pictures_are_named():
    with pytest.raises(ValueError, match="an episode needs 8 classes and more than 1"):
        FewShot(numbered(), ways=8)
    with pytest.raises(ValueError, match="5 classes and more than 4 drawings of each"):
        FewShot(numbered(), shots=4)
    with pytest.raises(ValueError, match="rotations need square images: got 2 x 3"):
        FewShot(torch.zeros(7, 4, 2, 3), rotations=True)
