import pytest

from srwm_lite.schedules import warmup_cosine, warmup_linear


def test_a_schedule_rises_and_falls():
    assert [warmup_linear(8, 4)(t) for t in range(9)] == [
        *(0.2, 0.4, 0.6, 0.8),
        *(1.0, 0.75, 0.5, 0.25, 0.0),
    ]
    cosine = [warmup_cosine(8, last=0.2)(t) for t in (0, 4, 8, 99)]
    assert cosine == pytest.approx([1, 0.6, 0.2, 0.2])


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"steps": 0}, "steps must be a whole number, positive: got 0"),
        ({"warmup": -1}, "warmup must be a whole number, 0 or more: got -1"),
        ({"warmup": 5}, "warmup must be less than steps=5: got 5"),
        ({"last": 2}, "last must be from 0 to 1: got 2"),
    ],
)
@pytest.mark.parametrize("schedule", [warmup_cosine, warmup_linear])
def test_bad_settings_are_named(schedule, bad, message):
    with pytest.raises(ValueError, match=message):
        schedule(**{"steps": 5, **bad})
