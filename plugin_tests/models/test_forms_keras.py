"""Forms of Keras layers and operations: which engine computes each, and its largest error against naive.

Each table is one model with an output a form. A form that falls back from exact to split fails its table.
"""

import numpy as np
import pytest
from exact_forms import LENGTH, assert_engines, one_hot_mutants

from kipoi_deepmr import exact

keras = pytest.importorskip("keras")
CHANNELS, ROWS = 8, LENGTH - 4  # after the first convolution
MATRIX = np.random.default_rng(3).normal(size=(CHANNELS, CHANNELS)).astype(np.float32)


def gated(k, x, reshaped=True):
    """Squeeze and excitation, with a vector that has an axis of positions, or none."""
    gate = k.Dense(3, activation="relu")(k.GlobalAveragePooling1D()(x))
    gate = k.Dense(x.shape[-1], activation="sigmoid")(gate)
    return k.Multiply()([x, k.Reshape((1, x.shape[-1]))(gate) if reshaped else gate])


# of both versions, rows to rows; a convolution and an activation follow
ALONG = {
    "pairs": lambda k, x: k.Reshape((ROWS // 2, 16))(k.Softmax(axis=2)(k.Reshape((ROWS // 2, 2, CHANNELS))(x))),
    "dense_in_pairs": lambda k, x: k.Reshape((ROWS // 2, 10))(k.Dense(5)(k.Reshape((ROWS // 2, 2, CHANNELS))(x))),
    "depth_to_space": lambda k, x: k.Reshape((2 * ROWS, CHANNELS // 2))(x),
    "unit": lambda k, x: k.UnitNormalization()(x),
    "end_to_end": lambda k, x: k.Concatenate(axis=1)([x, x[:, ::-1]]), "every_second": lambda k, x: x[:, ::-2],
    "last_positions": lambda k, x: x[:, -20:], "first_channels": lambda k, x: x[..., :3], "one_channels_gate":
    lambda k, x: x * k.Dense(1, activation="sigmoid")(x), "quotient": lambda k, x: x / (1 + x * x),
    "by_an_array": lambda k, x: x * np.arange(1, 9, dtype="float32") - 0.5, "mean_of_strands": lambda k, x: k.Average()(
        [x, x[:, ::-1, ::-1]]), "max_of_strands": lambda k, x: k.Maximum()([x, x[:, ::-1, ::-1]]), "permuted":
    lambda k, x: k.Permute((2, 1))(k.Permute((2, 1))(x)), "separable": lambda k, x: k.SeparableConv1D(6, 3)(x),
    "axis": lambda k, x: k.Reshape((ROWS, CHANNELS))(x[:, :, None]),
    "alpha_dropout": lambda k, x: k.AlphaDropout(0.3)(x),
    "two_dimensions": lambda k, x: k.Reshape((-1, 6))(k.AveragePooling2D((2, 1))(k.Conv2D(6, (3, 1))(k.Reshape(
        (ROWS, 1, CHANNELS))(x)))),
}
# of both versions, rows to a vector
ENDS = {
    "gate_mean": lambda k, x: k.GlobalAveragePooling1D()(gated(k, x)),
    "gate_max": lambda k, x: k.GlobalMaxPooling1D()(gated(k, x, False)),
    "gate_dense": lambda k, x: k.Dense(4)(k.Flatten()(gated(k, x))), "gate_and_skip":
    lambda k, x: k.GlobalAveragePooling1D()(k.Add()([x, gated(k, k.Conv1D(CHANNELS, 3, padding="same")(x))])),
    "group_norm_mean": lambda k, x: k.GlobalAveragePooling1D()(k.Conv1D(3, 3)(k.GroupNormalization(2)(x))),
    "instance_norm_max": lambda k, x: k.GlobalMaxPooling1D()(k.GroupNormalization(-1)(x)),
    "norm_over_positions": lambda k, x: k.GlobalAveragePooling1D()(k.LayerNormalization(axis=1)(x)),
    "norm_over_all": lambda k, x: k.Dense(3)(k.Flatten()(k.LayerNormalization(axis=(1, 2))(x))),
    "attention": lambda k, x: k.Flatten()(k.Dot(1)([k.Softmax(axis=1)(k.Dense(1)(x)), x])), "attention_by_channel":
    lambda k, x: k.GlobalAveragePooling1D()(k.Multiply()([k.Softmax(axis=1)(k.Dense(CHANNELS)(x)), x])),
    "attention_several": lambda k, x: k.Flatten()(k.Dot((2, 1))([k.Permute((2, 1))(k.Softmax(axis=1)(k.Dense(3)(x))),
                                                                x])),
    "batch_norm_after_flatten": lambda k, x: k.Dense(3)(k.BatchNormalization()(k.Flatten()(x))),
    "position": lambda k, x: x[:, 5], "both_ends": lambda k, x: k.Concatenate()([x[:, 0], x[:, -1]]),
}
SPLIT = {
    "gate_then_relu": lambda k, x: k.GlobalAveragePooling1D()(k.ReLU()(gated(k, x))),
    "gated_profile": lambda k, x: k.Reshape((ROWS, CHANNELS))(gated(k, x)),
    "wrapped": lambda k, x: k.GlobalAveragePooling1D()(k.TimeDistributed(k.BatchNormalization())(x)),
}


def operations_of_keras_3():
    """Operations between layers: (rows to rows, rows to a vector)."""
    o, k = keras.ops, keras.layers

    def heads(x):
        return o.softmax(k.Dense(3)(x), axis=1)

    along = {
        "matmul": lambda x: o.matmul(x, MATRIX), "repeated": lambda x: o.repeat(x, 2, axis=1), "tiled":
        lambda x: o.tile(x, (1, 2, 1)), "pieces": lambda x: o.split(x, 2, axis=-1)[1], "stacked":
        lambda x: o.mean(o.stack([x, x[:, ::-1]], axis=1), axis=1), "rolled": lambda x: o.roll(x, 2, axis=1),
        "gelu": lambda x: o.gelu(x, approximate=True), "square": lambda x: x**2, "clipped": lambda x: o.clip(x, 0, 1),
        "glu": lambda x: o.glu(x, axis=-1), "swapped": lambda x: o.swapaxes(o.swapaxes(x, 1, 2), 1, 2),
        "padded": lambda x: o.pad(x, ((0, 0), (1, 2), (0, 0))), "taken": lambda x: o.take(x, [5, 2], axis=2),
        "at_least": lambda x: o.maximum(x, 0.1), "hard": o.hard_sigmoid, "reshaped": lambda x: o.reshape(
            x, (-1, ROWS // 2, 16)), "squeezed": lambda x: o.squeeze(x[:, None], 1),
        "transposed": lambda x: o.transpose(o.transpose(x, (0, 2, 1)), (0, 2, 1)), "silu": o.silu,
    }
    if hasattr(k, "RMSNormalization"):
        along["rms"] = lambda x: k.RMSNormalization()(x)
    ends = {
        "einsum": lambda x: k.Flatten()(o.einsum("blh,blc->bhc", heads(x), x)), "matrices": lambda x: k.Flatten()(
            o.matmul(o.transpose(heads(x), (0, 2, 1)), x)), "deviation": lambda x: o.std(x, axis=1), "log_sum_exp":
        lambda x: o.logsumexp(x, axis=1), "least": lambda x: o.min(x, axis=1), "softmax_mean": lambda x: o.sum(
            x * o.softmax(x, axis=1), axis=1), "mean_gate": lambda x: o.mean(
            x * o.sigmoid(o.mean(x, axis=1, keepdims=True)), axis=1),
    }
    return along, ends


def operations_of_keras_2():
    import tensorflow as tf

    along = {
        "matmul": lambda x: tf.matmul(x, MATRIX), "repeated": lambda x: tf.repeat(x, 2, axis=1), "tiled":
        lambda x: tf.tile(x, (1, 2, 1)), "pieces": lambda x: tf.split(x, 2, axis=-1)[1], "stacked":
        lambda x: tf.reduce_mean(tf.stack([x, x[:, ::-1]], axis=1), axis=1), "gelu": tf.nn.gelu, "clipped":
        lambda x: tf.clip_by_value(x, 0, 1), "padded": lambda x: tf.pad(x, ((0, 0), (1, 2), (0, 0))), "taken":
        lambda x: tf.gather(x, [5, 2], axis=2), "at_least": lambda x: tf.maximum(x, 0.1), "reshaped":
        lambda x: tf.reshape(x, (-1, ROWS // 2, 16)), "transposed": lambda x: tf.transpose(tf.transpose(
            x, (0, 2, 1)), (0, 2, 1)), "squeezed": lambda x: tf.squeeze(x[:, None], 1),
    }
    return along, {"softmax_mean": lambda x: tf.reduce_sum(x * tf.nn.softmax(x, axis=1), axis=1),
                   "deviation": lambda x: tf.math.reduce_std(x, axis=1)}


@pytest.fixture(scope="module", params=["keras", "tf_keras"])
def framework(request):
    return pytest.importorskip(request.param)


def assert_forms(framework, forms, along=(), split=()):
    k, outputs = framework.layers, []
    first = k.Input((LENGTH, 4))
    x = k.Conv1D(CHANNELS, 5, activation="elu")(first)
    for name, form in forms.items():
        y = form(x)
        if name in along:
            y = k.GlobalAveragePooling1D()(k.Conv1D(3, 3, activation="elu")(y))
        outputs.append(k.Activation("linear", name=f"form_{name}")(y))
    model, rng = framework.Model(first, outputs), np.random.default_rng(1)
    for weight in model.weights:
        value = rng.normal(size=tuple(weight.shape)) / np.sqrt(max(1, np.prod(weight.shape[:-1])))
        weight.assign(np.abs(value) + 0.5 if "variance" in getattr(weight, "path", weight.name) else value)
    sequence, one_hot = one_hot_mutants()
    names = [f"form_{name}" for name in forms]
    expected = dict(zip(names, map(np.asarray, model.predict_on_batch(one_hot)), strict=True))
    assert_engines(exact.read_keras(model, split=True), expected, sequence, [f"form_{name}" for name in split])


def test_forms(framework):
    def of_layers(forms):
        return {name: (lambda x, form=form: form(framework.layers, x)) for name, form in forms.items()}

    along, ends = operations_of_keras_3() if framework is keras else operations_of_keras_2()
    along = {**of_layers(ALONG), **along}
    assert_forms(framework, {**along, **of_layers(ENDS), **ends}, along)
    assert_forms(framework, {"known": of_layers(ENDS)["gate_mean"], **of_layers(SPLIT)}, split=SPLIT)


@pytest.mark.parametrize("name", SPLIT)
def test_a_form_that_is_not_exact_is_named_in_one_line(framework, name):
    k = framework.layers
    first = k.Input((LENGTH, 4))
    model = framework.Model(first, SPLIT[name](k, k.Conv1D(CHANNELS, 5)(first)))
    with pytest.raises(exact.UnknownLayer, match="layer|output") as refused:
        exact.read_keras(model)
    assert "\n" not in str(refused.value)
