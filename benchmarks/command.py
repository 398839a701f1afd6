"""What `--engine exact` saves of a whole command: `run` on BPNet members, against the same with `--engine naive`.

    python benchmarks/command.py [--loci 50] [--members 5] [--exact_loci 50] [--naive_loci 3] [--length 1000]

Members are BPNets of nine dilated layers with random weights, of a class that returns softmax(profile) exp(counts) for
four marks, as Kipoi's BPNet-OSKN does. Each command is a process of its own; loading models, the trust check, the
estimates and the report are part of its CPU-seconds. Where fewer loci are run than `--loci`, a run of one locus tells
what each takes, and the rest is extrapolated. Effects of the loci that both engines ran are compared.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402
from mutagenesis import bpnet  # noqa: E402

from kipoi_deepmr.effects_store import open_effects  # noqa: E402

MARKS = ("Oct4", "Sox2", "Nanog", "Klf4")

CODE = f"""
MARKS = {MARKS!r}

import keras
import numpy as np
from kipoi.model import BaseModel


class BPNet(BaseModel):
    def __init__(self, net):
        self.model = keras.saving.load_model(net, compile=False)

    def predict_on_batch(self, x):
        heads = self.model.predict_on_batch(x)
        answers = {{}}
        for mark, profile, counts in zip(MARKS, heads[::2], heads[1::2]):
            shares = np.exp(profile - profile.max(1, keepdims=True))
            answers[mark] = shares / shares.sum(1, keepdims=True) * np.exp(counts)[:, None]
        return answers
"""

YAML = """
defined_as: model.BPNet
args: {{net: net.keras}}
default_dataloader:
  defined_as: kipoiseq.dataloaders.SeqIntervalDl
  default_args: {{ignore_targets: True, auto_resize_len: {length}}}
info: {{authors: [{{name: benchmark}}], doc: benchmark}}
schema:
  inputs: {{shape: "({length}, 4)", doc: dna}}
  targets: {{{targets}}}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("loci", 50), ("members", 5), ("exact_loci", 50), ("naive_loci", 3), ("length", 1000),
                          ("filters", 64)):
        parser.add_argument(f"--{name}", type=int, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        models = [write_model(folder / f"bpnet{k}", k, arguments) for k in range(arguments.members)]
        write_loci(folder, arguments)
        run(folder, models, "exact", 1)  # compiles the engine where no earlier run has
        taken = {engine: seconds(folder, models, engine, n_run, arguments.loci) for engine, n_run in
                 (("naive", arguments.naive_loci), ("exact", arguments.exact_loci))}
        print(f"{f'{arguments.loci} loci, {arguments.members} members':28}{'CPU s':>12}{'wall s':>12}")
        for engine, each in taken.items():
            print(f"{f'--engine {engine}':28}{each[0]:12.1f}{each[1]:12.1f}")
        print(f"{'ratio':28}" + "".join(f"{naive / exact:12.1f}" for naive, exact in zip(*taken.values(), strict=True)))
        print("largest difference of an effect, over the largest effect of its mark: "
              f"{difference(folder, arguments):.1e}")


def seconds(folder, models, engine, n_run, n_loci):
    """CPU-seconds and wall-clock seconds of a command of n_loci, measured, or as n_run and 1 tell."""
    taken = run(folder, models, engine, n_run)
    if n_run == n_loci:
        return taken
    one = run(folder, models, engine, 1)
    return [several + (n_loci - n_run) * (several - single) / (n_run - 1)
            for several, single in zip(taken, one, strict=True)]


def write_model(folder, seed, arguments):
    folder.mkdir()
    keras.utils.set_random_seed(seed)
    bpnet(arguments.length, arguments.filters).save(folder / "net.keras")
    (folder / "model.py").write_text(CODE)
    targets = ", ".join(f'{mark}: {{shape: "({arguments.length}, 2)", doc: counts}}' for mark in MARKS)
    (folder / "model.yaml").write_text(YAML.format(length=arguments.length, targets=targets))
    return str(folder)


def write_loci(folder, arguments):
    length, n = arguments.length, arguments.loci
    bases = "".join(np.random.default_rng(1).choice(list("ACGT"), n * length))
    (folder / "genome.fa").write_text(f">chr1\n{bases}\n")
    for n_loci in {1, arguments.naive_loci, arguments.exact_loci}:
        (folder / f"{n_loci}.bed").write_text("".join(f"chr1\t{i * length}\t{(i + 1) * length}\n"
                                                      for i in range(n_loci)))


def run(folder, models, engine, n_loci):
    """CPU-seconds and wall-clock seconds of one command."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = str(Path(sys.executable).parent / "kipoi-deepmr")
    subprocess.run([command, "run", *models, "--source", "dir", "--engine", engine,
                    "--intervals_file", str(folder / f"{n_loci}.bed"), "--fasta_file", str(folder / "genome.fa"),
                    "--method", "ivw", "--instrument_z", "1", "--quiet", "-o", str(folder / f"{engine}{n_loci}"),
                    "--overwrite"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    taken = [after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start]
    print(f"({engine}, {n_loci} loci: {taken[0]:.1f} CPU s, {taken[1]:.1f} s)", file=sys.stderr)
    return taken


def difference(folder, arguments):
    exact, naive = (open_effects(str(folder / f"{engine}{n_loci}" / "effects.zarr"))["member_effect"].values
                    for engine, n_loci in (("exact", arguments.exact_loci), ("naive", arguments.naive_loci)))
    n = min(len(exact), len(naive))
    return (np.abs(exact[:n] - naive[:n]).max((0, 1, 2)) / np.abs(naive[:n]).max((0, 1, 2))).max()


if __name__ == "__main__":
    main()
