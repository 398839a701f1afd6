"""What a mark at one position costs of a model that sees 10 kb: CPU-seconds and memory of one member.

    python benchmarks/positions.py [--models spliceai pangolin] [--bases 400] [--rounds 3]

The true architectures in PyTorch with random weights: SpliceAI-10k (Jaganathan K et al, 2019, Cell) on 10,001 bases,
whose output is one position, and Pangolin (Zeng T & Li YI, 2022, Genome Biology) on 15,000 bases, one position of whose
5,000 is the mark (`--mark_window`). `--bases` bases around it are mutated, as by `--mutate`. Each model is measured in
a process of its own. `choosing` is what a run pays once for each member: the record of the network and the trust check.
"""

import argparse
import json
import resource
import subprocess
import sys
import time

WIDTHS = [11] * 8 + [21] * 4 + [41] * 4
DILATIONS = [1] * 4 + [4] * 4 + [10] * 4 + [25] * 4
CONTEXT = 10000
LENGTHS = {"spliceai": CONTEXT + 1, "pangolin": CONTEXT + 5000}
MARKS = {"spliceai": ["neither", "acceptor", "donor"], "pangolin": [f"score{k}" for k in range(12)]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", choices=list(LENGTHS), default=list(LENGTHS))
    parser.add_argument("--bases", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measured(arguments.models[0], arguments.bases, arguments.rounds)))
        return
    print(f"{'model':10}{'CPU s of the mutants':>22}{'of choosing':>14}{'peak MB':>10}{'MB before':>11}"
          f"{'naive CPU s':>13}{'ratio':>8}{'error':>10}")
    for name in arguments.models:
        command = [sys.executable, __file__, "--child", "--models", name, "--bases", str(arguments.bases), "--rounds",
                   str(arguments.rounds)]
        said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found = json.loads(said.splitlines()[-1])
        print(f"{name:10}{found['mutants']:22.2f}{found['choose']:14.1f}{found['peak']:10.0f}{found['before']:11.0f}"
              f"{found['naive']:13.0f}{found['naive'] / found['mutants']:8.0f}{found['error']:10.0e}", flush=True)


def measured(name, bases, rounds):
    import numpy as np
    import torch

    from kipoi_deepmr import dna
    from kipoi_deepmr.models import Ensemble
    from kipoi_deepmr.mutagenesis import engines

    torch.set_num_threads(1)
    network, length = made(name), LENGTHS[name]
    middle = (length - CONTEXT) // 2
    window = {} if name == "spliceai" else {"mark_window": (middle, middle + 1)}
    ensemble = Ensemble.from_torch(network, length=length, marks=MARKS[name], batch_size=1, strict=False,
                                   **window)
    before, start = memory(), time.process_time()
    chosen = engines.choose(ensemble, "exact")
    choose = time.process_time() - start
    sequence = np.random.default_rng(0).choice(dna.BASES, length)
    positions = np.arange(length // 2 - bases // 2, length // 2 - bases // 2 + bases)
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        predicted = chosen.mutants(sequence, positions=positions)
        spent.append(time.process_time() - start)
    peak = memory()
    rows = np.r_[0, np.linspace(1, 3 * bases, 4).astype(int)]
    changed = np.repeat(sequence[None], len(rows), 0)
    for each, row in zip(changed[1:], rows[1:], strict=True):
        at = positions[(row - 1) // 3]
        each[at] = [base for base in dna.BASES if base != sequence[at]][(row - 1) % 3]
    start = time.process_time()
    naive = ensemble.predict(changed)
    naive_seconds = (time.process_time() - start) / len(rows) * (1 + 3 * bases)
    effects = [each[0, 1:].astype(np.float64) - each[0, :1] for each in (naive, predicted[:, rows])]
    return {"mutants": min(spent), "choose": choose, "before": before, "peak": peak, "naive": naive_seconds,
            "error": np.abs(effects[0] - effects[1]).max() / np.abs(predicted[0, 1:] - predicted[0, :1]).max()}


def memory():
    """Most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made(name):
    """A network with random weights, batch normalisation as training leaves it."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self, width, dilation):
            super().__init__()
            pad = (width - 1) * dilation // 2
            self.norms = nn.ModuleList(nn.BatchNorm1d(32) for _ in range(2))
            self.convs = nn.ModuleList(nn.Conv1d(32, 32, width, dilation=dilation, padding=pad) for _ in range(2))

        def forward(self, x):
            y = x
            for norm, conv in zip(self.norms, self.convs, strict=True):
                y = conv(torch.relu(norm(y)))
            return x + y

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.skip = nn.Conv1d(4, 32, 1), nn.Conv1d(32, 32, 1)
            self.blocks = nn.ModuleList(Block(*each) for each in zip(WIDTHS, DILATIONS, strict=True))
            self.skips = nn.ModuleList(nn.Conv1d(32, 32, 1) for _ in range(4))
            sizes = [3] if name == "spliceai" else [2, 1] * 4
            self.last = nn.ModuleList(nn.Conv1d(32, size, 1) for size in sizes)

        def forward(self, x):
            x = self.first(x)
            skip = self.skip(x)
            for i, block in enumerate(self.blocks):
                x = block(x)
                if i % 4 == 3:
                    skip = skip + self.skips[i // 4](x)
            skip = nn.functional.pad(skip, (-CONTEXT // 2, -CONTEXT // 2))
            return torch.cat([torch.softmax(last(skip), 1) if last.out_channels > 1 else torch.sigmoid(last(skip))
                              for last in self.last], 1)

    torch.manual_seed(0)
    network = Network().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.weight, 0.3, 0.7)
            nn.init.normal_(module.bias, 0, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network


if __name__ == "__main__":
    main()
