"""Models of every input and output form of the zoo, in Kipoi directories, with effects known in closed form.

Each is a sum over positions of the weight of the base there, so that the effect of a mutation is the difference of two
weights. Weights are small multiples of 1/16: sums of them are exact in float32, in any order.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from textwrap import dedent, indent
from typing import NamedTuple

import numpy as np

LENGTH = 12
MARKS = ("A", "B", "C")
PAIR = str.maketrans("ACGT", "TGCA")

YAML = """
defined_as: {defined_as}
args: {arguments}
default_dataloader: {dataloader}
info: {{authors: [{{name: test}}], doc: test}}
schema: {schema}
"""

NUMPY = """
import numpy as np
from kipoi.model import BaseModel


class Model(BaseModel):
    def __init__(self, weights):
        self.forward, self.reverse = np.load(weights)

    def predict_on_batch(self, x):
        w, v = self.forward, self.reverse
{input}
{output}
"""

TORCH = """
import torch


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.w = torch.nn.Parameter(torch.zeros({shape}))

    def forward(self, x):
        y = torch.einsum("{axes}", x, self.w)
        {output}
"""

LOADER = """
import numpy as np
from kipoi.data import Dataset
from kipoi.metadata import GenomicRanges
from pyfaidx import Fasta


class Loci(Dataset):
    def __init__(self, intervals_file, fasta_file):
        self.rows = [line.split() for line in open(intervals_file)]
        self.fasta = Fasta(fasta_file, as_raw=True, sequence_always_upper=True)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, number):
        chrom, start, end, name, _, strand = self.rows[number]
        text = self.fasta[chrom][int(start):int(end)]
        one_hot = np.eye(4, dtype=np.float32)[["ACGT".index(base) for base in text]]
        signal = 1 + np.arange(int(start), int(end)) % 3
        if strand == "-":
            one_hot, signal = one_hot[::-1, ::-1], signal[::-1]
        reverse, signal = one_hot[::-1, ::-1], signal.astype(np.float32)[:, None]
        distance = np.float32(1 + int(start) % 5)
        return {{"inputs": {inputs},
                "metadata": {{"ranges": GenomicRanges(chrom, int(start), int(end), name, strand)}}}}
"""

LOADER_YAML = {
    "defined_as": "dataloader.Loci", "args": {"intervals_file": {"doc": "BED"}, "fasta_file": {"doc": "FASTA"}},
    "info": {"authors": [{"name": "test"}], "doc": "test"},
    "output_schema": {"inputs": {"shape": "(None, 4)", "doc": "dna"},
                      "metadata": {"ranges": {"type": "GenomicRanges", "doc": "place"}}}}


class Locus(NamedTuple):
    """What a model's dataloader shows of a locus: bases on its strand, and what its own loader adds."""

    text: str
    signal: tuple
    distance: int

    @classmethod
    def at(cls, genome, start, strand):
        text = genome[start:start + LENGTH]
        signal = [1 + position % 3 for position in range(start, start + LENGTH)]
        if strand == "-":
            text, signal = text[::-1].translate(PAIR), signal[::-1]
        return cls(text, tuple(signal), 1 + start % 5)


def weights_of_members():
    """(member, strand, position, letter, mark): multiples of 1/16 from -4 to 4, those of four letters all different."""
    values = np.tile(np.arange(-64, 65), (2, 2, LENGTH, len(MARKS), 1))
    return np.random.default_rng(0).permuted(values, axis=-1)[..., :4].swapaxes(-1, -2) / 16


def forward_truth(weights, locus):
    """Sum of the weights of the bases."""
    return sum(weights[0, position, "ACGT".index(base)] for position, base in enumerate(locus.text))


@dataclass(eq=False, repr=False)
class Case:
    """One form of input or output.

    Attributes
    ----------
    name : str
    like : str
        Model groups of the zoo that have it.
    shape : str, or nested list or dict
        Of the inputs, as in model.yaml.
    layout : str
        Begin of what must be said of the input.
    framework : {"numpy", "torch", "keras", "file"}
    defaults : dict
        Of kipoiseq's dataloader; `loader` is the name of its class.
    inputs : str
        What the model's own dataloader gives, as Python code; by default kipoiseq's is used.
    code : str or callable
        Of a numpy model: from `x` to `y`, (n, marks). Of a torch model: the axes of its sum. Of a Keras model: what
        makes the network of weights. Of a file: what writes it and gives its path, from (path without suffix, weights).
    output : str
        Of a numpy or torch model: from `y` to what it returns.
    targets : as `shape`
    settings : dict
        Of the members.
    marks : tuple of str
        That must be found.
    truth : callable
        (weights of a member, Locus) to (marks,).
    exact : bool
        Whether effects must be equal to the last bit; else to 2e-5.
    """

    name: str
    like: str = ""
    shape: str | list | dict = f"({LENGTH}, 4)"
    layout: str = "input"
    framework: str = "numpy"
    defaults: dict = field(default_factory=dict)
    inputs: str = ""
    code: str | Callable = 'y = np.einsum("npl,plm->nm", x, w)'
    output: str = "return y"
    targets: str | list | dict = f"({len(MARKS)},)"
    settings: dict = field(default_factory=dict)
    marks: tuple = tuple(f"mark_{i}" for i in range(len(MARKS)))
    truth: Callable = staticmethod(forward_truth)
    exact: bool = True

    def __repr__(self):
        return self.name

    @property
    def packages(self):
        """Packages that write and run it, of which not every environment has all."""
        is_torch = self.framework == "torch" or self.framework == "file" and "of_torch" in self.code.__qualname__
        return ["torch"] * is_torch + ["safetensors"] * self.name.startswith("safetensors")

    def write(self, folder, weights):
        """A Kipoi model directory, or a file, of one member; weights are (2, L, 4, marks)."""
        if self.framework == "file":
            return self.code(folder, weights)
        folder.mkdir(parents=True)
        defined_as, arguments = {"numpy": self._write_numpy, "torch": self._write_torch,
                                 "keras": self._write_keras}[self.framework](folder, weights)
        dataloader = self._write_loader(folder) if self.inputs else {
            "defined_as": "kipoiseq.dataloaders." + self.defaults.get("loader", "SeqIntervalDl"),
            "default_args": {"ignore_targets": True, **{k: v for k, v in self.defaults.items() if k != "loader"}}}
        schema = {"inputs": described(self.shape), "targets": described(self.targets)}
        (folder / "model.yaml").write_text(YAML.format(
            defined_as=defined_as, arguments=json.dumps(arguments), dataloader=json.dumps(dataloader),
            schema=json.dumps(schema)))
        return str(folder)

    def _write_loader(self, folder):
        (folder / "dataloader.py").write_text(LOADER.format(inputs=self.inputs))
        (folder / "dataloader.yaml").write_text(json.dumps(LOADER_YAML))
        return "."

    def _write_numpy(self, folder, weights):
        np.save(folder / "weights.npy", weights)
        code = {name: indent(dedent(text).strip(), " " * 8) for name, text in (("input", self.code),
                                                                               ("output", self.output))}
        (folder / "model.py").write_text(NUMPY.format(**code))
        return "model.Model", {"weights": "weights.npy"}

    def _write_torch(self, folder, weights):
        import torch

        torch.save({"w": torch.tensor(weights[0], dtype=torch.float32)}, folder / "weights.pth")
        (folder / "network.py").write_text(TORCH.format(
            shape=weights[0].shape, axes=self.code, output=self.output))
        return "kipoi.model.PyTorchModel", {"weights": "weights.pth", "module_class": "Model",
                                            "module_file": "network.py"}

    def _write_keras(self, folder, weights):
        self.code(weights).save(folder / "model.keras")
        return "kipoi.model.KerasModel", {"weights": "model.keras"}


def described(shapes):
    """Shapes as model.yaml describes arrays; a dict that has one is taken as it is."""
    if isinstance(shapes, str):
        return {"shape": shapes, "doc": "test"}
    if isinstance(shapes, list):
        return [described(shape) for shape in shapes]
    return {"doc": "test", **shapes} if "shape" in shapes else {key: described(one) for key, one in shapes.items()}


def keras_sums(names=("forward",), take=lambda inputs: inputs[0], shape=(LENGTH, 4), output_per_mark=False):
    """A function that makes a Keras network of weights: those of the forward strand for the first input, of the reverse
    one for the second; `take` makes what the network takes of its inputs."""
    def build(weights):
        import keras

        inputs = [keras.Input(shape, name=name) for name in names]
        flat = keras.layers.Concatenate(axis=1)([keras.layers.Reshape((4 * LENGTH,))(one) for one in inputs])
        kernel = np.concatenate([weights[strand].reshape(4 * LENGTH, -1) for strand in range(len(names))])
        outputs = []
        for number, part in enumerate(np.split(kernel, kernel.shape[1], axis=1) if output_per_mark else [kernel]):
            layer = keras.layers.Dense(part.shape[1], use_bias=False, name=f"output_{number}")
            outputs.append(layer(flat))
            layer.set_weights([part])
        return keras.Model(take(inputs), outputs if output_per_mark else outputs[0])
    return build


def both_strands_truth(weights, locus):
    """And of those of the reverse complement."""
    other = locus._replace(text=locus.text[::-1].translate(PAIR))
    return forward_truth(weights, locus) + forward_truth(weights[1:], other)


def signal_truth(weights, locus):
    """On both strands, each base times the signal at its position; all times the locus's distance."""
    total = 0
    for position, (base, signal) in enumerate(zip(locus.text, locus.signal, strict=True)):
        total = total + signal * weights[0, position, "ACGT".index(base)]
        total = total + signal * weights[1, LENGTH - 1 - position, "ACGT".index(base.translate(PAIR))]
    return locus.distance * total


def side_truth(weights, locus):
    """The sum of weights times a distance."""
    return locus.distance * forward_truth(weights, locus)


def per_position(weights, locus, start=0, end=LENGTH):
    """Sum over some positions only."""
    return sum(weights[0, p, "ACGT".index(locus.text[p])] for p in range(start, end))


def log_counts(start=0, end=LENGTH):
    """The paper's log counts: of each strand's profile the log of its sum, averaged."""
    def truth(weights, locus):
        strands = [sum(np.exp(weights[s, p, "ACGT".index(locus.text[p])]) for p in range(start, end)) for s in (0, 1)]
        return np.log(strands).mean(0)
    return truth


PROFILE = """
strands = [np.exp(np.einsum("npl,plm->npm", x, u)) for u in (w, v)]
return {mark: np.stack([strand[..., m] for strand in strands], -1) for m, mark in enumerate("ABC")}
"""
PROFILES = dict.fromkeys(MARKS, f"({LENGTH}, 2)")


def expected_counts(summary, start=0, end=LENGTH):
    """A summary of softmax(profile) exp(log counts): each base's weight is its logit, their sum / 8 the log counts."""
    def truth(weights, locus):
        logits = np.stack([weights[0, p, "ACGT".index(base)] for p, base in enumerate(locus.text)])
        shares = np.exp(logits) / np.exp(logits).sum(0)
        return summary((shares * np.exp(forward_truth(weights, locus) / 8))[start:end])
    return truth


def keras_profiles(weights):
    """A Keras network of two outputs: logits of each position's base, (L, marks), and their sums."""
    import keras

    kernel = np.zeros((LENGTH, 4, LENGTH, len(MARKS)))
    kernel[np.arange(LENGTH), :, np.arange(LENGTH)] = weights[0]
    given = keras.Input((LENGTH, 4))
    flat = keras.layers.Flatten()(given)
    layers = [keras.layers.Dense(LENGTH * len(MARKS), use_bias=False), keras.layers.Dense(len(MARKS), use_bias=False)]
    profile, counts = (layer(flat) for layer in layers)
    layers[0].set_weights([kernel.reshape(4 * LENGTH, -1)])
    layers[1].set_weights([weights[0].reshape(4 * LENGTH, -1)])
    return keras.Model(given, [keras.layers.Reshape((LENGTH, len(MARKS)))(profile), counts])


LOGITS = 'z = np.einsum("npl,plm->npm", x, w)'
LABELLED = {"shape": f"({LENGTH}, 3)", "column_labels": list(MARKS)}

INPUTS = [
    Case("L,4", "Divergent421", framework="keras", code=keras_sums(),
         layout="input (12, 4): letters ACGT on axis 1, float32"),
    Case("4,L", "", "(4, 12)", "input (4, 12): letters ACGT on axis 0", defaults={"alphabet_axis": 0},
         code='y = np.einsum("nlp,plm->nm", x, w)'),
    Case("4,L,1", "Basset", "(4, 12, 1)", "input (4, 12, 1): letters ACGT on axis 0, float32", "torch",
         {"alphabet_axis": 0, "dummy_axis": 2, "dtype": "np.float32"}, code="nlpx,plm->nm"),
    Case("4,1,L", "DeepSEA, CpGenie", "(4, 1, 12)", "input (4, 1, 12): letters ACGT on axis 0, float32", "torch",
         {"alphabet_axis": 0, "dummy_axis": 1, "dtype": "np.float32"}, code="nlxp,plm->nm"),
    Case("4,1,L in the order AGCT", "DeepSEA/beluga", "(4, 1, 12)", "input (4, 1, 12): letters AGCT on axis 0",
         defaults={"alphabet_axis": 0, "dummy_axis": 1, "alphabet": "AGCT"},
         code='y = np.einsum("nlp,plm->nm", x[:, :, 0], w[:, [0, 2, 1, 3]])'),
    Case("1,L,4", "epidermal_basset", "(1, 12, 4)", "input (1, 12, 4): letters ACGT on axis 2",
         defaults={"alphabet_axis": 2, "dummy_axis": 0}, code='y = np.einsum("npl,plm->nm", x[:, 0], w)'),
    Case("L,4,1", "DeepSTARR", "(12, 4, 1)", "input (12, 4, 1): letters ACGT on axis 1", "keras",
         {"alphabet_axis": 1, "dummy_axis": 2}, code=keras_sums(shape=(LENGTH, 4, 1))),
    Case("list of one", "DeepFlyBrain, DeepLiver", ["(12, 4)"], 'input "0" (12, 4): letters ACGT', "keras",
         inputs="[one_hot]", code=keras_sums(take=list)),
    Case("dict of one, list of outputs", "DeepCpG_DNA", {"dna": "(12, 4)"}, 'input "dna" (12, 4): letters ACGT',
         "keras", inputs="{'dna': one_hot}", code=keras_sums(
             ["dna"], lambda inputs: {"dna": inputs[0]}, output_per_mark=True),
         targets=[{"shape": "(1,)", "name": f"cpg/{mark}"} for mark in MARKS], marks=("cpg/A", "cpg/B", "cpg/C")),
    Case("x and its reverse complement", "DeepMEL", ["(12, 4)", "(12, 4)"], 'input "0" (12, 4): letters ACGT', "keras",
         inputs="[one_hot, reverse]", code=keras_sums(("forward", "reverse"), list), truth=both_strands_truth),
    Case("x and its reverse complement, told by the doc", "DeepMEL",
         ["(12, 4)", {"shape": "(12, 4)", "doc": "Reverse-complemented DNA sequence"}], 'input "0"',
         inputs="[one_hot, reverse]",
         code='y = np.einsum("npl,plm->nm", x[0], w) + np.einsum("npl,plm->nm", x[1], v)', truth=both_strands_truth),
    Case("signal channels on both strands, and side inputs", "FactorNet", ["(12, 5)", "(12, 5)", "(1,)"],
         'input "0" (12, 5): letters ACGT on channels 0-3 of axis 1',
         inputs="[np.hstack([one_hot, signal]), np.hstack([reverse, signal[::-1]]), distance[None]]",
         code="""
         y = x[2] * sum(np.einsum("npl,np,plm->nm", one[..., :4], one[..., 4], u) for one, u in zip(x, (w, v)))
         """, truth=signal_truth),
    Case("side inputs", "rbp_eclip", {"seq": "(12, 4)", "dist_tss": "(1, 10)", "dist_polya": "(1, 10)"},
         'input "seq" (12, 4): letters ACGT on axis 1, float32; input "dist_tss", input "dist_polya" held fixed',
         inputs="{'seq': one_hot, 'dist_tss': np.full((1, 10), distance), 'dist_polya': np.zeros((1, 10))}",
         code='y = x["dist_tss"][:, 0, 3, None] * np.einsum("npl,plm->nm", x["seq"], w)', truth=side_truth),
    Case("text", "lsgkm-SVM", "()", "input (): text", defaults={"loader": "StringSeqIntervalDl"},
         code='y = np.array([sum(w[p, "ACGT".index(b)] for p, b in enumerate(text)) for text in x])'),
    Case("variable length", "pwm_HOCOMOCO", "(None, 4)", "input (",
         code='y = np.einsum("npl,plm->nm", x, w[:x.shape[1]])'),
]

OUTPUTS = [
    Case("labels", "Basset", targets={"shape": "(3,)", "column_labels": list(MARKS)}, marks=MARKS),
    Case("labels of the user", "MPRA-DragoNN", settings={"mark_names": list(MARKS)}, marks=MARKS),
    Case("dict of numbers", "", targets=dict.fromkeys(MARKS, "(1,)"), marks=MARKS,
         output="return {mark: y[:, m] for m, mark in enumerate('ABC')}"),
    Case("nested dict", "", targets={"chromatin": {"A": "(1,)"}, "rna": "(2,)"},
         output="return {'chromatin': {'A': y[:, :1]}, 'rna': y[:, 1:]}",
         marks=("chromatin/A", "rna/mark_0", "rna/mark_1")),
    Case("profiles", "BPNet-OSKN", targets=PROFILES, output=PROFILE, truth=log_counts(), marks=MARKS, exact=False),
    Case("profiles in a window", "BPNet-OSKN", targets=PROFILES, output=PROFILE, truth=log_counts(3, 8), marks=MARKS,
         settings={"mark_window": [3, 8]}, exact=False),
    Case("bins", "Basenji", targets="(4, 3)", truth=forward_truth,
         settings={"mark_layout": "positions,marks", "mark_summary": "sum"},
         output='return np.einsum("npl,plm->npm", x, w).reshape(len(x), 4, 3, 3).sum(2)'),
    Case("bins in a window", "Basenji", targets="(4, 3)", settings={
         "mark_window": [1, 3], "mark_summary": "sum", "mark_layout": "positions,marks"},
         truth=lambda weights, locus: per_position(weights, locus, 3, 9),
         output='return np.einsum("npl,plm->npm", x, w).reshape(len(x), 4, 3, 3).sum(2)'),
    Case("positions", "labranchor", targets=dict.fromkeys(MARKS, f"({LENGTH},)"), marks=MARKS,
         output='return dict(zip("ABC", np.einsum("npl,plm->mnp", x, w)))', settings={
             "mark_window": [2, 12], "mark_summary": "sum"},
         truth=lambda weights, locus: per_position(weights, locus, 2)),
    Case("channels first", "OpenSpliceAI", targets={**LABELLED, "shape": f"(3, {LENGTH})"}, marks=MARKS,
         settings={"mark_summary": "sum"}, output='return np.einsum("npl,plm->nmp", x, w)'),
    Case("profiles and log counts, channels first", "bpnet-lite, ProCapNet", "(4, 12)", framework="torch",
         defaults={"alphabet_axis": 0, "dtype": "np.float32"}, targets=LABELLED, marks=MARKS, code="nlp,plm->nm",
         output='return torch.einsum("nlp,plm->nmp", x, self.w), y'),
    Case("profiles and log counts, channels last", "ChromBPNet", framework="keras", code=keras_profiles, marks=MARKS,
         targets=[{"shape": f"({LENGTH}, 3)", "name": "logits"}, {**LABELLED, "name": "log counts"}]),
    Case("profiles, then log counts", "BPReveal", targets=[f"({LENGTH}, 2)"] * 3 + ["(1,)"] * 3,
         output=f"""
         {LOGITS}
         return [np.stack([z[..., m], -z[..., m]], -1) for m in range(3)] + [y[:, m:m + 1] for m in range(3)]
         """),
    Case("profiles and log counts by name", "BPReveal", marks=MARKS,
         targets={f"{kind}_{mark}": "(None,)" for kind in ("profile", "logcounts") for mark in MARKS},
         output="""
         found = {"profile_" + mark: np.einsum("npl,pl->np", x, w[..., m])[..., None] for m, mark in enumerate("ABC")}
         return {**found, **{"logcounts_" + mark: y[:, m] for m, mark in enumerate("ABC")}}
         """),
    Case("counts expected in a window", "bpnet-lite", targets=LABELLED, marks=MARKS, exact=False,
         settings={"mark_window": [3, 8]}, output=f"{LOGITS}\nreturn z.swapaxes(1, 2), y / 8",
         truth=expected_counts(lambda counts: np.log(counts.sum(0)), 3, 8)),
    Case("expected counts, weighted by themselves", "ChromBPNet", targets=LABELLED, marks=MARKS, exact=False,
         settings={"mark_summary": "profile_mean", "scale": "log"}, output=f"{LOGITS}\nreturn z, y / 8",
         truth=expected_counts(lambda counts: np.log((counts ** 2).sum(0) / counts.sum(0)))),
    Case("all expected counts", "ChromBPNet", targets=LABELLED, marks=MARKS, exact=False,
         settings={"mark_summary": "total", "scale": "log"}, output=f"{LOGITS}\nreturn z, y / 8",
         truth=lambda weights, locus: forward_truth(weights, locus) / 8),
    Case("a window for each mark", "OpenSpliceAI", targets=LABELLED, marks=MARKS, output=f"{LOGITS}\nreturn z",
         settings={"mark_windows": {"A": "0:4", "B": "A@+1:+6", "C": "C@-5:+6"}, "mark_summary": "sum"},
         truth=lambda weights, locus: np.array([per_position(weights, locus, start, end)[mark]
                                                for mark, start, end in ((0, 0, 4), (0, 7, 12), (2, 1, 12))])),
    Case("probabilities as logits", "DeepSEA", output="return 1 / (1 + np.exp(-y / 8))", settings={"scale": "logit"},
         truth=lambda weights, locus: forward_truth(weights, locus) / 8, exact=False),
    Case("counts as logs", "", output="return np.exp(y / 8)", settings={"scale": "log"},
         truth=lambda weights, locus: forward_truth(weights, locus) / 8, exact=False),
    Case("counts as log(1 + x)", "", output="return np.expm1(y / 8)", settings={"scale": "log1p"},
         truth=lambda weights, locus: forward_truth(weights, locus) / 8, exact=False),
    Case("counts on Anscombe's scale", "", output="return (y + 64) ** 2 / 4 - 3 / 8", settings={"scale": "anscombe"},
         truth=lambda weights, locus: forward_truth(weights, locus) + 64, exact=False),
    Case("means of replicate columns", "MPRA-DragoNN", targets={"shape": "(6,)", "column_labels": [
         f"{mark}_{k}" for mark in MARKS for k in (1, 2)]}, marks=("b", "a"),
         output="return np.stack([y + 1, 3 * y], -1).reshape(len(y), 6)",
         settings={"mark_groups": {"b": ["B_*"], "a": ["A_1", "1"]}},
         truth=lambda weights, locus: 2 * forward_truth(weights, locus)[[1, 0]] + 0.5),
]
