"""How the simulation's networks are trained."""

import numpy as np
import pytest

from kipoi_deepmr.simulation import sequences, training

pytest.importorskip("tensorflow")


def test_the_one_cycle_rises_and_falls():
    schedule = training.ONE_CYCLE
    rate = training._learning_rate(schedule, 1000)
    steps = schedule.epochs * 20
    values = np.array([float(rate(step)) for step in range(steps + 1)])
    peak = values.argmax()
    assert values.max() == pytest.approx(schedule.learning_rate) and peak == int(0.15 * steps)
    assert (np.diff(values[:peak]) > 0).all() and (np.diff(values[peak:]) <= 0).all()
    assert values[-1] < 0.02 * schedule.learning_rate
    assert training._learning_rate(training.CONSTANT, 1000) == 1e-3


def test_balanced_networks_predict_in_the_labels_units():
    """As networks of labels with variance 1, times their standard deviation."""
    rng, scale = np.random.default_rng(8), np.array([100, 1, 0.01], np.float32)
    bases, schedule = sequences.one_hot(rng.choice(4, (200, 100))), training.Schedule(50, 1e-3, 1)
    labels = rng.normal(size=(200, 3)).astype(np.float32)
    labels *= scale / labels.std(axis=0)
    one, other = (training.train_member(1, (bases, y), (bases, y), schedule, balanced=balanced)[0]
                  for y, balanced in ((labels, True), (labels / scale, False)))
    in_units = one.predict(bases, verbose=0) / scale
    np.testing.assert_allclose(in_units, other.predict(bases, verbose=0), rtol=1e-3, atol=1e-3)
