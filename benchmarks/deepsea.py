"""How long all single mutants of DeepSEA's 919 marks take: the exact engine against PyTorch predicting each as a whole.

    python benchmarks/deepsea.py [--loci 20] [--naive 96]

The network has the zoo's architecture and random weights. Seconds are those of the CPU, on one thread. PyTorch predicts
some mutants of the first locus, and its time is scaled to all. The largest difference is that of an effect on a mark,
over the largest effect.
"""

import argparse
import time

import numpy as np
import torch
from torch import nn

import kipoi_deepmr as deepmr
from kipoi_deepmr import dna
from kipoi_deepmr.mutagenesis import engines, saturation_mutants
from kipoi_deepmr.mutagenesis.check import random_sequences

LENGTH, MARKS = 1000, 919


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--loci", type=int, default=20)
    parser.add_argument("--naive", type=int, default=96, help="mutants that PyTorch predicts")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = deepsea().eval()
    ensemble = deepmr.Ensemble.from_torch([network], length=LENGTH, layout="4,1,L", strict=False,
                                          marks=[f"mark{j}" for j in range(MARKS)])
    sequences = random_sequences(arguments.loci, LENGTH)
    seconds, chosen = timed(lambda: engines.choose(ensemble))
    choice = chosen.choices[0]
    print(f"engine: {choice.engine} ({choice.why}); {seconds:.1f} s to choose it, with the proof on random sequences")
    times, first = [], None
    for sequence in sequences:
        seconds, found = timed(lambda s=sequence: chosen.mutants(s)[0])
        times.append(seconds)
        first = found if first is None else first
    print(f"exact: {np.median(times):.1f} s a locus of {3 * LENGTH:,} mutants, {sum(times):.0f} s for {len(times)}")
    rows = np.linspace(0, 3 * LENGTH - 1, arguments.naive).astype(int)
    mutants = np.concatenate([sequences[:1], saturation_mutants(sequences[0])[0][rows]])
    seconds, expected = timed(lambda: predicted(network, mutants))
    naive = seconds / len(mutants) * (3 * LENGTH + 1)
    effect, exact = (values[1:] - values[0] for values in (expected, first[np.append(0, 1 + rows)]))
    print(f"naive: {naive:.1f} s a locus, scaled from {len(mutants)} sequences; {naive / np.median(times):.1f} times "
          f"as long; largest difference {np.abs(effect - exact).max() / np.abs(effect).max():.0e}")


def deepsea():
    """DeepSEA as Zhou and Troyanskaya (2015) describe it, and the zoo has it."""
    return nn.Sequential(
        nn.Conv2d(4, 320, (1, 8)), nn.Threshold(0, 1e-6), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
        nn.Conv2d(320, 480, (1, 8)), nn.Threshold(0, 1e-6), nn.MaxPool2d((1, 4), (1, 4)), nn.Dropout(0.2),
        nn.Conv2d(480, 960, (1, 8)), nn.Threshold(0, 1e-6), nn.Dropout(0.5), nn.Flatten(),
        nn.Linear(960 * 53, 925), nn.Threshold(0, 1e-6), nn.Linear(925, MARKS), nn.Sigmoid())


def predicted(network, sequences):
    one_hot = np.ascontiguousarray(dna.one_hot(sequences).swapaxes(1, 2)[:, :, None])
    with torch.no_grad():
        return np.concatenate([network(torch.from_numpy(one_hot[k:k + 32])).numpy()
                               for k in range(0, len(one_hot), 32)])


def timed(work):
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


if __name__ == "__main__":
    main()
