"""Variants on loci: which locus a variant lies in, which of its mutants it is, or why none."""

import re
from bisect import bisect_left, bisect_right
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

import numpy as np

from . import dna
from .loci.mutants import AVERAGED, NAMES, PAIRS, SINGLE

SNV = "snv"  # the one kind that single mutants are; MNV and INDEL are mutants in some runs, else reasons as all others
MNV = "mnv"
INDEL = "indel"
SYMBOLIC = "symbolic"
BREAKEND = "breakend"
SPANNING_DELETION = "spanning_deletion"
AMBIGUOUS = "ambiguous"
NO_ALT = "no_alt"
SAME_AS_REF = "same_as_ref"
REF_MISMATCH = "ref_mismatch"
OUTSIDE = "outside"
TOO_LONG = "too_long"
NO_WINDOW = "no_window"
NOT_FINITE = "not_finite"
NOT_MUTATED = "not_mutated"
NO_SINGLE = "no_single"
NOT_ABLATED = "not_ablated"  # until a mutant is found that it is

MEANINGS = {
    MNV: "several neighbouring bases change, which no single mutant does",
    INDEL: "an insertion or deletion, which no single mutant is",
    SYMBOLIC: "a symbolic allele such as <DEL>",
    BREAKEND: "a breakend of a rearrangement",
    SPANNING_DELETION: "* stands for a deletion that begins before",
    AMBIGUOUS: "letters other than ACGT in ALT",
    NO_ALT: "no ALT (.)",
    SAME_AS_REF: "ALT is REF",
    REF_MISMATCH: "REF is not what the run's FASTA has there",
    OUTSIDE: "no base of the locus changes",
    TOO_LONG: "ALT is longer than its side of the window",
    NO_WINDOW: "the window with ALT runs over the contig's end, or has letters other than ACGT",
    NOT_MUTATED: "the run did not mutate this base (--mutate)",
    NOT_FINITE: "the model's predictions for the locus are not finite",
}

ABLATED, DEL = b"<ABLATED>", b"<DEL>"  # symbolic alleles that may be mutants of a run
OF_KINDS = {  # in runs with mutants of several bases
    NOT_ABLATED: "<ABLATED> without END and SVLEN, or of bases that no mutant of the run replaces alone",
    MNV: "several neighbouring bases change, as in none of the run's mutants",
    INDEL: "an insertion, or a deletion that is none of the run's mutants",
}

CHANGES = (SNV, MNV, INDEL)
SEQUENCES = (SNV, MNV, INDEL, SAME_AS_REF, AMBIGUOUS)  # for which REF matters
HELD_BYTES = 100_000_000  # of sequences


_HINT = re.compile(rb"(?:^|;)(LOCUS|KIND|END|SVLEN)=([^;]*)")


class Hints(NamedTuple):
    """What INFO says of a record beyond its columns; None where it does not.

    Attributes
    ----------
    locus, kind : str
        LOCUS and KIND, as in our own VCF: which locus's mutant of which kind it is.
    start, end : int
        Of the bases that a symbolic allele changes, 0-based, half open: by END, SVLEN and POS.
    """

    locus: str | None = None
    kind: str | None = None
    start: int | None = None
    end: int | None = None

    @classmethod
    def of(cls, info, position, alts):
        """From the text of INFO, bytes; `position` is the 0-based POS."""
        if not any(hint in info for hint in (b"LOCUS=", b"KIND=", b"END=", b"SVLEN=")):
            return NO_HINTS
        found = dict(_HINT.findall(info))
        start = end = None
        symbolic = [number for number, alt in enumerate(alts) if alt in (ABLATED, DEL)]
        if len(symbolic) == 1 and b"IMPRECISE" not in info:
            sizes = found.get(b"SVLEN", b"").split(b",")  # one for each ALT
            size = sizes[symbolic[0]] if len(sizes) == len(alts) else b""
            start, end = _stretch(position, _whole(found.get(b"END", b"")), _whole(size))
        locus, kind = (unquote(found[key].decode("utf-8", "replace")) if key in found else None
                       for key in (b"LOCUS", b"KIND"))
        return cls(locus, kind if kind in NAMES else None, start, end)  # another's KIND says something else


NO_HINTS = Hints()


def _whole(text):
    return abs(int(text)) if re.fullmatch(rb"-?[0-9]{1,12}", text) else None


def _stretch(position, end, size):
    """First base and end of what a symbolic allele changes: the bases up to END, SVLEN of them, or all behind POS."""
    if end is None:
        return (None, None) if size is None else (position + 1, position + 1 + size)
    start = position + 1 if size is None else end - size
    return (start, end) if position <= start < end else (None, None)


def classify(ref, alt):
    """What an allele is, and what it changes.

    Letters that REF and ALT share are cut off, at their ends first and then at their starts, so that REF CAT with ALT
    CGT is the SNV A>G one base on. Of a deletion that begins with the base before it, as VCF has it, this one is cut.

    Parameters
    ----------
    ref, alt : bytes
        In upper case, as VCF has them.

    Returns
    -------
    kind : str
        `SNV`, or one of `MEANINGS`.
    offset : int
        Of the first changed base from the first of REF.
    ref, alt : bytes
        What is left of either; as given for kinds other than SNV, MNV and INDEL.
    """
    if len(ref) == 1 == len(alt) and alt in b"ACGT":
        return (SNV if ref != alt else SAME_AS_REF), 0, ref, alt
    if len(alt) == 1 and len(ref) > 1 and ref[:1] == alt and not alt.translate(None, b"ACGT"):
        return INDEL, 1, ref[1:], b""  # the base before a deletion is in both
    kind = _not_a_sequence(alt) or (SAME_AS_REF if ref == alt else None)
    if kind:
        return kind, 0, ref, alt
    same_size = len(ref) == len(alt)
    while ref and alt and ref[-1] == alt[-1]:
        ref, alt = ref[:-1], alt[:-1]
    offset = 0
    while offset < min(len(ref), len(alt)) and ref[offset] == alt[offset]:
        offset += 1
    ref, alt = ref[offset:], alt[offset:]
    return (INDEL if not same_size else SNV if len(ref) == 1 else MNV), offset, ref, alt


def _not_a_sequence(alt):
    if alt == b"*":
        return SPANNING_DELETION
    if alt in (b".", b""):
        return NO_ALT
    if alt.startswith(b"<"):
        return SYMBOLIC
    if b"[" in alt or b"]" in alt or alt.startswith(b".") or alt.endswith(b"."):
        return BREAKEND
    return AMBIGUOUS if alt.translate(None, b"ACGT") else None


def keys_of(mutants, forward, start):
    """What `classify` makes of the mutants of several bases of a locus, or of what is the same.

    Parameters
    ----------
    mutants : iterable of (int, int, str, str)
        Number, position on the contig, bases before and after on the forward strand.
    forward : bytes
        Bases of the locus on the forward strand.
    start : int
        Of the locus.

    Returns
    -------
    dict of (int, bytes, bytes) to int
        Position, ref and alt, to the number; alt is `AVERAGED` for a mean over draws. A deletion is there at each place
        in the locus that gives the same sequence; of two such mutants the one at the place itself counts.
    """
    found, elsewhere = {}, {}
    for number, position, ref, alt in mutants:
        if alt == AVERAGED:
            found.setdefault((position, ref.encode(), AVERAGED.encode()), number)
            continue
        kind, offset, ref, alt = classify(ref.encode(), alt.encode()) if alt else (INDEL, 0, ref.encode(), b"")
        if kind in CHANGES:
            found.setdefault((position + offset, ref, alt), number)
        if kind == INDEL:
            for first in _same_deletions(forward, position - start, len(ref)):
                elsewhere.setdefault((start + first, forward[first:first + len(ref)], b""), number)
    return {**elsewhere, **found}


def _same_deletions(sequence, first, n):
    """Where else `n` letters can be cut out of a sequence so that the same is left as if they began at `first`."""
    for step in (-1, 1):
        place = first
        while 0 <= place + step <= len(sequence) - n and (
                sequence[min(place, place + step)] == sequence[min(place, place + step) + n]):
            place += step
            yield place


class Allele(NamedTuple):
    """One ALT of a record at a locus.

    `kind` is what the allele is or why it is no mutant (`LocusIndex.meanings`); `position` (0-based), `ref` and `alt`
    are of the bases that change; `mutant` is the number of the locus's mutant that it is, or -1.
    """

    kind: str
    position: int
    ref: bytes
    alt: bytes
    mutant: int


class Placed(NamedTuple):
    """A record at a locus: the number of the locus, how many loci there are, and an `Allele` for each ALT."""

    locus: int
    n_loci: int
    alleles: list


class LocusIndex:
    """Loci of one length, found by contig and position.

    Parameters
    ----------
    chrom, strand : sequences of str
    start : sequence of int
    length : int
    sequence : callable
        The bases of a locus as the model sees them, by its number: (L,) uint8.
    lost : (n,) bool, optional
        Loci without predictions.
    is_mutated : callable, optional
        Whether a run has single mutants of a base, by the numbers of the locus and of the base as the model sees them;
        by default all.
    others : callable, optional
        The mutants of several bases of a locus, by its number: dict of kinds, and of None for all, to dicts as
        `keys_of` gives them.
    names : sequence of str, optional
        Of the loci.
    n_variants : int, optional
        Mutants that a locus has at most; by default 3 for each base.

    Attributes
    ----------
    contigs : tuple of str
        Those that hold loci.
    length, start, strand, lost
        As lists.
    has_single : bool
        Whether there are single mutants.
    is_mutated, n_variants
        As given.
    seen : callable
        `sequence`.
    forward : callable
        Bases of a locus on the forward strand, by its number: bytes.
    """

    def __init__(self, chrom, start, strand, length, sequence, lost=None, is_mutated=None, *, others=None,
                 has_single=True, n_variants=None, names=None):
        self.length, self.start, self.strand = length, [int(s) for s in start], [str(s) for s in strand]
        self.lost = [False] * len(self.start) if lost is None else np.asarray(lost).tolist()
        self.seen, self.is_mutated = sequence, is_mutated or (lambda locus, position: True)
        self.has_single, self._others, self._names = has_single, others, names
        self.n_variants = 3 * length if n_variants is None else n_variants
        self.forward = lru_cache(max(1, HELD_BYTES // length))(self._forward)
        self._of_contig = {}
        for number in np.argsort(np.asarray(self.start), kind="stable").tolist():
            starts, numbers = self._of_contig.setdefault(str(chrom[number]), ([], []))
            starts.append(self.start[number])
            numbers.append(number)
        self.contigs = tuple(self._of_contig)

    @classmethod
    def of_loci(cls, loci):
        """The index of `kipoi_deepmr.loci.Loci`."""
        @lru_cache
        def planned(locus):
            mutants = loci.mutants_of(locus)
            return set(mutants.position[(mutants.kind == SINGLE) & (mutants.length > 0)].tolist())

        def is_mutated(locus, position):
            return position in planned(locus) if loci.plan else loci.mutated[locus, position]

        kind = loci.mutants_of(0).kind
        return cls(loci.chrom, loci.start, loci.strand, loci.sequences.shape[1], loci.sequences.__getitem__,
                   is_mutated=is_mutated, has_single=SINGLE in kind, n_variants=int((kind != PAIRS).sum()))

    @property
    def meanings(self):
        """What the reasons mean why an allele is no mutant, by reason."""
        if self.has_single and self._others is None:
            return MEANINGS
        none = {} if self.has_single else {NO_SINGLE: "a single base changes, and the run has no single mutants "
                                                      "(--mutants)"}
        return {**MEANINGS, **OF_KINDS, **none}

    def _forward(self, number):
        """Bases of a locus on the forward strand."""
        sequence = self.seen(number)
        return (dna.reverse_complement(sequence) if self.strand[number] == "-" else sequence).tobytes()

    def at(self, contig, first, last):
        """Numbers of the loci that hold a base from `first` to `last` (0-based, both included), by start."""
        starts, numbers = self._of_contig.get(contig, ((), ()))
        return numbers[bisect_left(starts, first - self.length + 1):bisect_right(starts, last)]

    def nearest(self, loci, position, has_mutant=lambda locus: True):
        """Of some loci the one whose centre is nearest to a position: there the model sees most on either side.

        Loci without predictions come last, and before them those for which `has_mutant` is false; of two as near, the
        one that comes first in the run.
        """
        if len(loci) == 1:
            return loci[0]
        double = 2 * position - self.length + 1
        return min(loci, key=lambda n: (self.lost[n], not has_mutant(n), abs(2 * self.start[n] - double), n))

    def mutated(self, locus, position):
        """Whether a run mutated a 0-based position in a locus."""
        return self.holds(locus, position) and self.is_mutated(locus, self._offset(locus, position))

    def place(self, contig, position, ref, alts, hints=NO_HINTS):
        """A record at the locus whose centre is nearest to the first base that changes.

        If an ALT is a mutant of some loci, these come first; before all others the locus that INFO names.

        Parameters
        ----------
        contig : str
        position : int
            Of the first base of REF, 0-based.
        ref : bytes
        alts : list of bytes
            In upper case.
        hints : Hints
            Of INFO.

        Returns
        -------
        Placed, or None where no locus holds a base of REF, or one that a symbolic allele changes.
        """
        last = position + len(ref) - 1
        if hints.end is not None and hints.end - hints.start <= self.length:
            last = max(last, hints.end - 1)
        loci = self.at(contig, position, last)
        if not loci:
            return None
        named = [locus for locus in loci if self._names is not None and str(self._names[locus]) == hints.locus]
        classified = [classify(ref, alt) for alt in alts]
        snvs = [offset for kind, offset, _, _ in classified if kind == SNV]
        first = min(snvs or (offset for _, offset, _, _ in classified))
        locus = self.nearest(named or loci, position + first, self._mutant_finder(position, classified, snvs, hints))
        agrees = self.is_ref(locus, position, ref)
        return Placed(locus, len(loci), [self._allele(locus, position, agrees, self._concrete(
            locus, position, each, hints), hints.kind) for each in classified])

    def _mutant_finder(self, position, classified, snvs, hints):
        """Whether a locus, by its number, has one of a record's alleles as a mutant: a callable."""
        if snvs and self.has_single and hints.kind in (None, SINGLE):
            return lambda locus: self.mutated(locus, position + min(snvs))
        if self._others is None:
            return lambda locus: True

        def has_mutant(locus):
            concrete = (self._concrete(locus, position, each, hints) for each in classified)
            return any(self.mutant(locus, position + offset, ref, alt, hints.kind) >= 0
                       for kind, offset, ref, alt in concrete if kind in (*CHANGES, NOT_ABLATED))

        return has_mutant

    def _concrete(self, locus, position, classified, hints):
        """What `classify` gives, of a symbolic allele with the bases that it changes where these lie in a locus."""
        kind, _, _, alt = classified
        if alt not in (ABLATED, DEL) or alt == ABLATED and self._others is None:
            return classified
        inside = hints.start is not None and self.holds(locus, hints.start) and self.holds(locus, hints.end - 1)
        if not inside:
            return (NOT_ABLATED, 0, b"", b"") if alt == ABLATED else classified
        ref = self.forward(locus)[hints.start - self.start[locus]:hints.end - self.start[locus]]
        kind, alt = (NOT_ABLATED, AVERAGED.encode()) if alt == ABLATED else (INDEL, b"")
        return kind, hints.start - position, ref, alt

    def _allele(self, locus, position, agrees, classified, of_kind):
        kind, offset, ref, alt = classified
        agrees = agrees or not self.holds(locus, position) and offset > 0  # the base before the locus, which is unknown
        position += offset
        changes, mutant = self._changes(locus, position, ref), -1
        if kind in (*CHANGES, NOT_ABLATED) and agrees and (changes or kind != SNV):
            mutant = self.mutant(locus, position, ref, alt, of_kind)
        if kind in (*SEQUENCES, NOT_ABLATED) and not agrees:
            kind = REF_MISMATCH
        elif kind in CHANGES and not changes and mutant < 0:
            kind = OUTSIDE
        elif mutant >= 0 and self.lost[locus]:
            kind, mutant = NOT_FINITE, -1
        elif kind == SNV and mutant < 0:
            kind = NO_SINGLE
        return Allele(kind, position, ref, alt, mutant)

    def is_ref(self, locus, position, ref):
        """Whether REF, whose first base is at a 0-based position, agrees with the locus where both have bases."""
        shift = position - self.start[locus]
        seen = ref[max(0, -shift):max(0, self.length - shift)]
        begin = max(0, shift)
        return bool(seen) and self.forward(locus)[begin:begin + len(seen)] == seen

    def holds(self, locus, position):
        """Whether a locus has a base at a 0-based position."""
        return 0 <= position - self.start[locus] < self.length

    def _changes(self, locus, position, ref):
        """Whether bases of a locus change, or, for an insertion, two of them are parted."""
        if not ref:
            return self.holds(locus, position) and self.holds(locus, position - 1)
        return position - self.start[locus] < self.length and position + len(ref) > self.start[locus]

    def window(self, locus, allele, fetch):
        """The locus with an allele in it, as long as before and as the model sees it.

        The side of the allele on which the locus's centre lies keeps its place. On the other side, what is inserted
        pushes bases out of the window, and what is deleted lets bases of the FASTA in.

        Parameters
        ----------
        locus : int
        allele : Allele
        fetch : callable
            Of start and end (0-based, half open): the FASTA's bases as bytes; None where the contig has no such place.

        Returns
        -------
        bytes, or the reason why there is none : str
        """
        start, end, first = self.start[locus], self.start[locus] + self.length, allele.position
        after = first + len(allele.ref)
        if 2 * first < start + end:
            n_after = max(0, end - after)
            n_before = self.length - len(allele.alt) - n_after
        else:
            n_before = first - start
            n_after = self.length - len(allele.alt) - n_before
        if min(n_before, n_after) < 0:
            return TOO_LONG
        before, ref, behind = fetch(first - n_before, first), fetch(first, after), fetch(after, after + n_after)
        if before is None or ref is None or behind is None:
            return NO_WINDOW
        if ref != allele.ref:
            return REF_MISMATCH
        window = before + allele.alt + behind
        if window.translate(None, b"ACGT"):
            return NO_WINDOW
        if self.strand[locus] == "+":
            return window
        return dna.reverse_complement(np.frombuffer(window, np.uint8)).tobytes()

    def mutant(self, locus, position, ref, alt, kind=None):
        """Number among the locus's mutants of a change ref > alt, cut as `classify` does, at a 0-based position; or -1.

        If there are such mutants of several kinds, the one of `kind` is chosen.
        """
        if kind not in (None, SINGLE) and self._others is not None:
            number = self._others(locus).get(kind, {}).get(self._inside(locus, position, ref, alt), -1)
            if number >= 0:
                return number
        if len(ref) != 1 or len(alt) != 1 or not self.has_single or alt == AVERAGED.encode():
            others = {} if self._others is None else self._others(locus)[None]
            return others.get(self._inside(locus, position, ref, alt), -1)
        ref, alt = b"ACGT".index(ref), b"ACGT".index(alt)
        if self.strand[locus] == "-":
            ref, alt = 3 - ref, 3 - alt
        return 3 * self._offset(locus, position) + alt - (alt > ref)

    def _inside(self, locus, position, ref, alt):
        """Position, ref and alt; of a deletion at an end of the locus, those in it that give the same sequence."""
        seen, start = self.forward(locus), self.start[locus]
        while not alt and position < start <= position + len(ref) < start + self.length and (
                seen[position + len(ref) - start] == ref[0]):
            position, ref = position + 1, ref[1:] + ref[:1]
        end = start + self.length
        while not alt and start < position <= end < position + len(ref) and seen[position - 1 - start] == ref[-1]:
            position, ref = position - 1, ref[-1:] + ref[:-1]
        return position, ref, alt

    def _offset(self, locus, position):
        """Which base of a locus, as the model sees it, a 0-based position is."""
        offset = position - self.start[locus]
        return self.length - 1 - offset if self.strand[locus] == "-" else offset
