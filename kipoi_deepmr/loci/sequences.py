"""Sequences that Python holds, in a list, a dict or a table, as loci."""

from collections import Counter
from collections.abc import Mapping

from .. import dna
from ..errors import InputError, listed

LETTERS = frozenset("ACGTRYKMSWBDHVN")
PLACE = ("chrom", "start", "end", "strand")


def places_of(sequences):
    """Contig, start, end, strand, name and bases of each sequence: the fields of a `Locus`.

    Parameters
    ----------
    sequences : sequence of str, dict of str to str, or pandas.DataFrame
        As for `Loci.from_sequences`.

    Returns
    -------
    list of tuple

    Raises
    ------
    InputError
        As `Loci.from_sequences`.
    """
    names, texts, places = _columns(sequences)
    if not len(texts):
        raise InputError("there is no sequence")
    twice = next((name for name, times in Counter(names).items() if times > 1), None)
    if twice is not None:
        raise InputError(f"sequence {twice!r} is there twice: each needs a name of its own")
    bases = [_checked(name, text) for name, text in zip(names, texts, strict=True)]
    for name, each in zip(names, bases, strict=True):
        if len(each) != len(bases[0]):
            raise InputError(f"sequence {name!r} has {len(each)} bases, but {names[0]!r} has {len(bases[0])}: a model "
                             "takes one length")
    if places is None:
        contigs = _contigs(names)
        places = [(contig, 0, len(each), "+") for contig, each in zip(contigs, bases, strict=True)]
    return [(*_checked_place(name, place, len(each)), name, each)
            for name, place, each in zip(names, places, bases, strict=True)]


def _columns(sequences):
    """Names, texts, and places if the sequences have any."""
    if isinstance(sequences, str):
        raise InputError("a single text is no list of sequences: put it in a list, or read files by Loci.from_bed")
    if hasattr(sequences, "columns"):
        return _of_table(sequences)
    if isinstance(sequences, Mapping):
        return [str(name) for name in sequences], list(sequences.values()), None
    try:
        texts = list(sequences)
    except TypeError:
        raise InputError(f"sequences: a list, a dict or a table is needed, not a {type(sequences).__name__}") from None
    return _numbered(len(texts)), texts, None


def _of_table(table):
    known = list(table.columns)
    if "sequence" not in known:
        raise InputError(f"the table has no column sequence, but {listed(known)}")
    there = [name for name in PLACE if name in known]
    if there and len(there) < len(PLACE):
        raise InputError(f"the table has {', '.join(there)}: a place is {', '.join(PLACE)} together, or none of them")
    places = list(zip(*(table[name].tolist() for name in PLACE), strict=True)) if there else None
    names = [str(name) for name in table["name"]] if "name" in known else (
        [f"{chrom}:{start}-{end}:{strand}" for chrom, start, end, strand in places] if places
        else _numbered(len(table)))
    return names, table["sequence"].tolist(), places


def _numbered(n):
    return [f"sequence{k}" for k in range(1, n + 1)]


def _contigs(names):
    """Names of contigs: those of the sequences, where they could stand in any file."""
    return names if all(name.isascii() and name.replace("_", "").replace(".", "").isalnum() for name in names) \
        else _numbered(len(names))


def _checked(name, text):
    """Bases of one sequence."""
    if not isinstance(text, str) or not text:
        raise InputError(f"sequence {name!r} is no text, but {text!r:.50}")
    upper = text.upper()
    wrong = next((k for k, letter in enumerate(upper) if letter not in LETTERS), None)
    if wrong is not None:
        rna = " (RNA: replace U by T)" if upper[wrong] == "U" else ""
        raise InputError(f"sequence {name!r}: {text[wrong]!r} at position {wrong} is no letter of DNA{rna}")
    return dna.encode(text)


def _checked_place(name, place, length):
    chrom, start, end, strand = place
    try:
        start, end = int(start), int(end)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"sequence {name!r}: start and end must be whole numbers, not {start!r} and {end!r}") from None
    if end - start != length or start < 0:
        raise InputError(f"sequence {name!r} has {length} bases, but its place is {chrom}:{start}-{end}")
    if strand not in ("+", "-"):
        raise InputError(f"sequence {name!r}: the strand must be + or -, not {strand!r}")
    return str(chrom), start, end, strand
