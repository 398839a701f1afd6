"""The same models as files without any model.yaml: every form of file that `MODEL` may be."""

import zipfile
from pathlib import Path

from zoo_models import LENGTH, MARKS, Case, keras_sums

NETWORKS = str(Path(__file__).with_name("zoo_networks.py"))
LETTERS_FIRST, POSITIONS_FIRST = {"axes": "nlp,plm->nm"}, {"axes": "npl,plm->nm"}


def of_torch(name, like, save, layout, arguments=LETTERS_FIRST, kind="Sums", suffix=".pt", marks=None, **settings):
    """A case of PyTorch weights, with a class; `save(network, path)` writes them."""
    def write(folder, weights):
        import zoo_networks

        path = f"{folder}{suffix}"
        save(zoo_networks.with_weights(getattr(zoo_networks, kind)(**arguments), weights), path)
        return path

    settings.setdefault("module", f"{NETWORKS}:{kind}")
    settings.setdefault("module_args", arguments)
    return Case(name, like, framework="file", code=write, layout=layout, settings=settings,
                marks=marks or Case("").marks)


def of_keras(name, like, save, build=None, marks=None, **settings):
    """A case of a Keras file; `save(network, folder)` writes it and gives its path."""
    def write(folder, weights):
        return save((build or keras_sums())(weights), str(folder))

    return Case(name, like, framework="file", code=write, layout="input", settings=settings,
                marks=marks or Case("").marks)


def _save(value, path, **options):
    import torch

    torch.save(value, path, **options)


def _as_of_cuda(network, path):
    """Weights as a process with a graphics card saves them: each tensor says that it was on cuda:0."""
    _save(network.state_dict(), path + ".cpu")
    with zipfile.ZipFile(path + ".cpu") as before, zipfile.ZipFile(path, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            if name.endswith("data.pkl"):
                assert b"X\x03\0\0\0cpu" in content
                content = content.replace(b"X\x03\0\0\0cpu", b"X\x06\0\0\0cuda:0")
            after.writestr(name, content)
    Path(path + ".cpu").unlink()


def _safetensors(network, path):
    from safetensors.torch import save_file

    save_file(network.state_dict(), path)


def _script(network, path):
    import torch

    torch.jit.trace(network, torch.zeros(2, 4, LENGTH)).save(path)


def _exported(network, path, any_batch=True):
    import torch

    batch = {"x": {0: torch.export.Dim("batch")}} if any_batch else None
    torch.export.save(torch.export.export(network, (torch.zeros(3, 4, LENGTH),), dynamic_shapes=batch), path)


def _keras(suffix):
    def save(network, folder):
        network.save(folder + suffix)
        return folder + suffix
    return save


def _tf_keras(suffix):
    """The same network in tf_keras, the Keras of most files there are."""
    def save(network, folder):
        import tf_keras

        old = tf_keras.Sequential([tf_keras.layers.Input((LENGTH, 4)), tf_keras.layers.Reshape((4 * LENGTH,)),
                                   tf_keras.layers.Dense(len(MARKS), use_bias=False)])
        old.set_weights(network.get_weights())
        old.save(folder + suffix)
        return folder + suffix
    return save


def _exported_keras(network, folder):
    network.export(folder, verbose=False)
    return folder


def _keras_weights(network, folder):
    network.save_weights(folder + ".weights.h5")
    return folder + ".weights.h5"


def _dense(weights):
    import zoo_networks

    network = zoo_networks.keras_sums(LENGTH)
    network.set_weights([weights[0].reshape(4 * LENGTH, -1)])
    return network


LETTERS_ON_0, LETTERS_ON_1 = "input (4, 12): letters ACGT on axis 0", "input (12, 4): letters ACGT on axis 1"
FILES = [
    of_torch("state_dict", "any", lambda network, path: _save(network.state_dict(), path), LETTERS_ON_0),
    of_torch("checkpoint of DataParallel", "ChromBPNet", lambda network, path: _save(
        {"epoch": 3, "state_dict": {f"module.{name}": one for name, one in network.state_dict().items()}}, path),
        LETTERS_ON_1, POSITIONS_FIRST, suffix=".ckpt"),
    of_torch("torch.save before 1.6", "DeepSEA", lambda network, path: _save(
        network.state_dict(), path, _use_new_zipfile_serialization=False), "input (4, 1, 12): letters ACGT on axis 0",
        {"axes": "nlxp,plm->nm"}, suffix=".pth", seq_layout="4,1,L"),
    of_torch("weights of a graphics card", "any", _as_of_cuda, LETTERS_ON_0),
    of_torch("safetensors, a dict of outputs", "any", _safetensors, LETTERS_ON_0, kind="SumsByMark",
             suffix=".safetensors", marks=MARKS),
    of_torch("TorchScript", "any", _script, LETTERS_ON_0, module=None, module_args=None),
    of_torch("torch.export", "any", _exported, 'input "x" (4, 12): letters ACGT on axis 0', suffix=".pt2",
             module=None, module_args=None),
    of_torch("torch.export, three sequences at once", "any", lambda network, path: _exported(network, path, False),
             'input "x" (4, 12): letters ACGT on axis 0', suffix=".pt2", module=None, module_args=None),
    of_keras(".keras of Keras 3", "any", _keras(".keras")),
    of_keras(".keras, an output for each mark", "DeepCpG", _keras(".keras"), keras_sums(output_per_mark=True),
             marks=("output_0", "output_1", "output_2")),
    of_keras(".h5 of Keras 3", "any", _keras(".h5")),
    of_keras(".h5 of tf_keras", "most of the zoo", _tf_keras(".h5")),
    of_keras("SavedModel of Keras 3", "any", _exported_keras),
    of_keras("SavedModel of tf_keras", "Basenji2", _tf_keras("")),
    of_keras("weights of Keras alone", "Enformer", _keras_weights, _dense, module=f"{NETWORKS}:keras_sums",
             module_args={"length": LENGTH}),
]
