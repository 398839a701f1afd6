"""Random bit flips over all files of a store of effects: every one must be refused, or mended by who resumes.

    python validation/flip_bits.py [--flips 10000] [--resumed 200] [--seed 0]

A flip is silent if the store is opened and checked without an error. A share of this is in the tests.
"""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from kipoi_deepmr import dna, effects_store
from kipoi_deepmr.errors import InputError
from kipoi_deepmr.loci import Loci

N, LENGTH, MARKS, MEMBERS = 70, 8, ("A", "B"), ("m1", "m2")  # two blocks


def writer(path):
    """A `Writer` of a small store, which goes on with what lies there."""
    start = np.arange(N) * LENGTH
    sequences = np.random.default_rng(0).choice(dna.BASES, (N, LENGTH))
    loci = Loci(np.full(N, "chr1"), start, start + LENGTH, np.full(N, "+"), np.array([f"l{i}" for i in range(N)]),
                sequences)
    attributes = {"settings": {"ddof": 0, "marks": list(MARKS)}, "dropped": {}, "fasta_file": None}
    return effects_store.Writer(str(path), loci, MARKS, MEMBERS, attributes)


def fill(writer):
    """Write the blocks that are missing, and close the store; one locus has no effects."""
    rng = np.random.default_rng(1)
    members = rng.normal(size=(N, 2, 3 * LENGTH, 2)).astype("f4")
    members[3] = np.nan
    bases = np.random.default_rng(0).choice(dna.BASES, (N, LENGTH))
    alt = np.array([[b for base in s for b in b"ACGT" if b != base] for s in bases], np.uint8)
    data = {"effect": members.mean(1), "effect_se": members.std(1), "member_effect": members,
            "reference": np.ones((N, 2, 2), "f4"), "ref_base": np.repeat(bases, 3, axis=1).view("S1").astype("U1"),
            "alt_base": alt.view("S1").astype("U1")}
    for block in writer.blocks():
        piece = {name: values[block] for name, values in data.items()}
        writer.write(block, piece, {3: "not finite"} if block.start == 0 else None)
    writer.close({"dropped": {"not finite": ["l3"]}})


def flips(store, n, seed):
    """`n` times a file of a store and its contents with one bit flipped; half of them by size, half by file."""
    files = {path: path.read_bytes() for path in sorted(Path(store).rglob("*")) if path.is_file()}
    drawn = random.Random(seed)
    mean = sum(map(len, files.values())) / len(files)
    for path in drawn.choices(list(files), [len(content) + mean for content in files.values()], k=n):
        content = bytearray(files[path])
        content[drawn.randrange(len(content))] ^= 1 << drawn.randrange(8)
        yield path, files[path], bytes(content)


def silent_flips(store, n, seed=0):
    """Which of `n` flips go unnoticed, and how many there were in each kind of file."""
    silent, kinds = [], Counter()
    for path, whole, flipped in flips(store, n, seed):
        path.write_bytes(flipped)
        kinds["chunk" if path.name[0].isdigit() else path.name] += 1
        try:
            effects_store.open_effects(str(store))
            effects_store.check_chunks(str(store))
            silent.append(str(path))
        except InputError as error:
            assert "\n" not in str(error), error
        finally:
            path.write_bytes(whole)
    return silent, kinds


def unmended_flips(store, n, seed=0):
    """Which of `n` flips in an unfinished store make another store of who resumes, and do not refuse it."""
    store, unmended = Path(store), []
    whole = contents(store)
    for path, content, flipped in flips(store, n, seed):
        copy = store.parent / "resumed.zarr"
        shutil.rmtree(copy, ignore_errors=True)
        path.write_bytes(flipped)
        shutil.copytree(store, f"{copy}{effects_store.PARTIAL_SUFFIX}")
        path.write_bytes(content)
        try:
            fill(writer(copy))
        except InputError as error:
            assert "choose another name, or --overwrite" in str(error), error
            shutil.rmtree(f"{copy}{effects_store.PARTIAL_SUFFIX}")
            continue
        if contents(copy) != whole:
            unmended.append(str(path))
    return unmended


def contents(store):
    """The bytes of all files of a store, by their names."""
    files = (path for path in sorted(Path(store).rglob("*")) if path.is_file())
    return {str(path.relative_to(store)): path.read_bytes() for path in files}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=10_000)
    parser.add_argument("--resumed", type=int, default=200, help="of these, in a store that is then resumed")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder, "e.zarr")
        fill(writer(store))
        silent, kinds = silent_flips(store, arguments.flips, arguments.seed)
        unmended = unmended_flips(store, arguments.resumed, arguments.seed)
    print(f"{arguments.flips} flips ({', '.join(f'{n} in {kind}' for kind, n in kinds.most_common())}): "
          f"{len(silent)} silent")
    print(f"{arguments.resumed} flips before a resume: {len(unmended)} neither mended nor refused")
    sys.exit(bool(silent or unmended))


if __name__ == "__main__":
    main()
