"""MC-dropout: masks held fixed in real networks of Keras 3, tf_keras, older Keras and PyTorch."""

from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import run_python
from pythons import with_kipoi

from kipoi_deepmr import dna
from kipoi_deepmr.models.host import masks
from kipoi_deepmr.models.host.errors import ModelError
from kipoi_deepmr.models.kipoi_model import KipoiModel

LENGTH, MARKS, RATE = 6, 3, 0.4
needs_torch = pytest.mark.skipif(not find_spec("torch"), reason="PyTorch is not installed")
FRAMEWORKS = ["keras", "tf_keras", pytest.param("torch", marks=needs_torch)]
RNG = np.random.default_rng(0)
SEQUENCES = np.eye(4, dtype=np.float32)[RNG.integers(0, 4, (7, LENGTH))]
WEIGHTS = RNG.normal(size=(LENGTH * 4, MARKS)).astype(np.float32)


class Loaded:
    """A loaded Kipoi model, which holds its network in an attribute."""

    def __init__(self, network):
        self.model = network

    def predict_on_batch(self, x):
        if not hasattr(self.model, "parameters"):
            return self.model.predict_on_batch(x)
        torch = import_module("torch")
        with torch.no_grad():
            return self.model(torch.from_numpy(np.ascontiguousarray(x))).numpy()


def linear(framework, rate=RATE):
    """Sum of weights of the bases that are not dropped; `marks = flat(sequence * mask) @ WEIGHTS`."""
    if framework == "torch":
        nn = import_module("torch").nn
        network = nn.Sequential(nn.Dropout(rate), nn.Flatten(), nn.Linear(LENGTH * 4, MARKS, bias=False))
        network[2].weight.data[:] = import_module("torch").from_numpy(WEIGHTS.T.copy())
        return Loaded(network.eval())
    keras = import_module(framework)
    layers = keras.layers
    dense = layers.Dense(MARKS, use_bias=False)
    network = keras.Sequential([layers.Input((LENGTH, 4)), layers.Dropout(rate), layers.Flatten(), dense])
    dense.set_weights([WEIGHTS])
    return Loaded(network)


def predictions(model, seed=1, n_masks=3, batch_size=100, x=SEQUENCES):
    """(masks, n, marks): all sequences with every mask."""
    drawn = masks.dropout_masks(model, n_masks, seed)
    each = []
    for k in range(n_masks):
        with drawn.use(k):
            batches = [x[i:i + batch_size] for i in range(0, len(x), batch_size)]
            each.append(np.concatenate([model.predict_on_batch(batch) for batch in batches]))
    return np.array(each)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_mask_is_one_thinned_network(framework):
    model = linear(framework)
    predicted = predictions(model)
    for k in range(3):
        kept = np.random.RandomState([1, 0, k, 0]).random_sample((LENGTH, 4)) >= RATE
        assert 0 < kept.mean() < 1
        expected = (SEQUENCES * kept / (1 - RATE)).reshape(len(SEQUENCES), -1) @ WEIGHTS
        np.testing.assert_allclose(predicted[k], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_masks_are_those_of_the_seed_alone(framework):
    first = predictions(linear(framework))
    np.testing.assert_array_equal(first, predictions(linear(framework)))
    np.testing.assert_allclose(first, predictions(linear(framework), batch_size=2), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(first, predictions(linear(framework), n_masks=5)[:3])
    assert np.abs(first - predictions(linear(framework), seed=2)).max() > 0.1
    assert np.abs(first - predictions(linear(framework), seed=1 + 2**32)).max() > 0.1
    assert min(np.abs(first[i] - first[j]).max() for i, j in ((0, 1), (0, 2), (1, 2))) > 0.1


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_mutation_that_touches_nothing_has_no_effect(framework):
    model = linear(framework)
    kept = np.random.RandomState([5, 0, 0, 0]).random_sample((LENGTH, 4)) >= RATE
    position = int(np.flatnonzero((kept.sum(-1) < 3) & kept.any(-1))[0])
    reference, untouched = np.flatnonzero(~kept[position])[:2]
    changed = np.flatnonzero(kept[position])[0]
    mutants = np.repeat(SEQUENCES[:1], 3, axis=0)
    mutants[:, position] = np.eye(4)[[reference, untouched, changed]]
    with masks.dropout_masks(model, 1, 5).use(0):
        first, second = model.predict_on_batch(mutants[:2])
        third = model.predict_on_batch(mutants[2:])[0]
    np.testing.assert_array_equal(second, first)
    np.testing.assert_allclose(third - first, WEIGHTS[4 * position + changed] / (1 - RATE), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_mean_over_masks_tends_to_the_prediction_without(framework):
    model = linear(framework)
    without = model.predict_on_batch(SEQUENCES)
    predicted = predictions(model, n_masks=200)
    error = predicted.std(0, ddof=1) / np.sqrt(200)
    assert (np.abs(predicted.mean(0) - without) < 4.5 * error).all() and error.min() > 0.01
    np.testing.assert_array_equal(model.predict_on_batch(SEQUENCES), without)


def channel_model(framework):
    """Dropout of whole channels before a sum over positions: a mark is one channel, kept or not."""
    if framework == "torch":
        nn = import_module("torch").nn

        class Channels(nn.Module):
            def __init__(self):
                super().__init__()
                self.drop = nn.Dropout1d(RATE)

            def forward(self, x):
                return self.drop(x.transpose(1, 2)).sum(-1)

        return Loaded(Channels())
    keras = import_module(framework)
    network = keras.Sequential([keras.layers.Input((LENGTH, 4)), keras.layers.SpatialDropout1D(RATE),
                                keras.layers.GlobalAveragePooling1D(), keras.layers.Rescaling(LENGTH)])
    return Loaded(network)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_channels_are_dropped_whole(framework):
    counts = SEQUENCES.sum(1)
    ratios = predictions(channel_model(framework), n_masks=20) / np.where(counts, counts, np.nan)
    for k, ratio in enumerate(ratios):
        kept = np.random.RandomState([1, 0, k, 0]).random_sample(4) >= RATE
        for base in range(4):
            np.testing.assert_allclose(ratio[counts[:, base] > 0, base], kept[base] / (1 - RATE), rtol=1e-5)


def nested(framework):
    """A dropout on the sequence, and another in a network within, called twice on inputs of one shape."""
    keras = import_module(framework)
    layers = keras.layers
    inner = keras.Sequential([layers.Input((LENGTH, 4)), layers.Dropout(0.5), layers.Dense(4, use_bias=False)])
    inner.layers[-1].set_weights([np.eye(4, dtype=np.float32)])
    given = layers.Input((LENGTH, 4))
    twice = layers.Subtract()([inner(given), inner(given)])
    both = layers.Concatenate()([twice, inner(layers.Dropout(0.3)(given))])
    return Loaded(keras.Model(given, both))


@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_nested_and_shared_layers(framework):
    model = nested(framework)
    drawn = masks.dropout_masks(model, 2, 1)
    for k in range(2):
        with drawn.use(k):
            predicted = model.predict_on_batch(SEQUENCES)
        assert (predicted[..., :4] == 0).all()  # a layer that is called twice drops the same both times
        values = np.unique(predicted[..., 4:].round(4))
        np.testing.assert_allclose(values, [0, 1 / 0.7 / 0.5], atol=1e-4)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_networks_in_a_list(framework):
    class Folds:
        def __init__(self):
            self.folds = [linear(framework), linear(framework)]

        def predict_on_batch(self, x):
            return np.concatenate([fold.predict_on_batch(x) for fold in self.folds], axis=1)

    predicted = predictions(Folds())
    np.testing.assert_allclose(predicted[..., :MARKS], predictions(linear(framework)), rtol=1e-5, atol=1e-5)
    assert np.abs(predicted[..., :MARKS] - predicted[..., MARKS:]).max() > 0.1  # masks of their own


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_dropout_to_draw(framework):
    with pytest.raises(ModelError, match="has no dropout layer"):
        masks.dropout_masks(linear(framework, rate=0), 3, 1)


def test_what_cannot_be_done():
    import keras

    class Numpy:
        weights = WEIGHTS

    with pytest.raises(ModelError, match="holds neither"):
        masks.dropout_masks(Numpy(), 3, 1)
    layers = keras.layers
    network = keras.Sequential([layers.Input((4,)), layers.GaussianDropout(0.5), layers.Dense(2)])
    with pytest.raises(ModelError, match="GaussianDropout cannot be held fixed"):
        masks.dropout_masks(Loaded(network), 3, 1)
    network = keras.Sequential([layers.Input((None, 4)), layers.Dropout(0.5), layers.GlobalMaxPooling1D()])
    with pytest.raises(Exception, match="fixed size"), masks.dropout_masks(Loaded(network), 1, 1).use(0):
        for length in range(2, LENGTH):  # Keras generalizes what it traced to any length
            network.predict_on_batch(SEQUENCES[:, :length])


@needs_torch
def test_torch_layers_that_cannot_be_done():
    from torch import nn

    class PositionsFirst(nn.Module):
        def __init__(self):
            super().__init__()
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.drop(x.transpose(0, 1)).sum(0)

    with pytest.raises(ModelError, match="AlphaDropout cannot be held fixed"):
        masks.dropout_masks(Loaded(nn.Sequential(nn.AlphaDropout(0.5))), 1, 1)
    model = Loaded(PositionsFirst())
    with pytest.raises(ModelError, match="not that of the 7 sequences"), masks.dropout_masks(model, 1, 1).use(0):
        model.predict_on_batch(SEQUENCES)


@needs_torch
def test_a_torch_network_left_in_training():
    model = linear("torch")
    model.model.train()
    np.testing.assert_array_equal(predictions(model), predictions(linear("torch")))


def test_it_is_undone_after_an_error():
    model = linear("keras")
    without = model.predict_on_batch(SEQUENCES)
    with pytest.raises(RuntimeError), masks.dropout_masks(model, 1, 1).use(0):
        raise RuntimeError
    np.testing.assert_array_equal(model.predict_on_batch(SEQUENCES), without)


MAKE_OLD = """
import sys
import numpy
import keras
dense = keras.layers.Dense({marks}, use_bias=False)
network = keras.models.Sequential([keras.layers.SpatialDropout1D(0.25, input_shape=({length}, 4)),
                                   keras.layers.Dropout({rate}), keras.layers.Flatten(), dense])
dense.set_weights([numpy.load(sys.argv[1])])
network.save(sys.argv[2])
"""
YAML_OLD = """
type: keras
args: {{weights: model.h5}}
default_dataloader: {{defined_as: kipoiseq.dataloaders.SeqIntervalDl}}
info: {{authors: [{{name: test}}], doc: test}}
schema: {{inputs: {{shape: "({length}, 4)", doc: dna}}, targets: {{shape: "({marks},)", doc: marks}}}}
"""


@pytest.mark.parametrize("version", ["3.7", "3.8"])
@pytest.mark.environment
def test_older_keras_in_its_own_python(version, tmp_path, monkeypatch):
    """Keras 2.2 as a TensorFlow 1 graph, and a Keras 2 of TensorFlow 2."""
    python = with_kipoi(version, None)
    form = {"length": LENGTH, "marks": MARKS, "rate": RATE}
    np.save(tmp_path / "weights.npy", WEIGHTS)
    made = run_python(python, "-c", MAKE_OLD.format(**form), "weights.npy", "model.h5", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    monkeypatch.setenv("TF2_BEHAVIOR", "1")  # as a TensorFlow 2 in this process does
    (tmp_path / "model.yaml").write_text(YAML_OLD.format(**form))
    member = KipoiModel(str(tmp_path), "dir", {"mc_dropout": 3, "seed": 1, "batch_size": 3}, python=python)
    try:
        predicted = member.predict(dna.from_one_hot(SEQUENCES))
    finally:
        member.close()
    for k in range(3):
        channels, elements = (np.random.RandomState([1, 0, k, layer]).random_sample(shape) >= rate
                              for layer, shape, rate in ((0, (1, 4), 0.25), (1, (LENGTH, 4), RATE)))
        kept = channels / 0.75 * elements / (1 - RATE)
        expected = (SEQUENCES * kept).reshape(len(SEQUENCES), -1) @ WEIGHTS
        np.testing.assert_allclose(predicted[k], expected, rtol=1e-5, atol=1e-5)


def test_frameworks_agree():
    """The same seed drops the same in every framework that is installed here."""
    present = [name for name in ("keras", "tf_keras", "torch") if find_spec(name)]
    assert "keras" in present
    for name in present[1:]:
        np.testing.assert_allclose(predictions(linear(name)), predictions(linear("keras")), rtol=1e-5, atol=1e-5)
