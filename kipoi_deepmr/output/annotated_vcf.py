"""A VCF with what a run tells of its records in INFO; all else in it comes out as it went in."""

import re
from collections import Counter
from itertools import islice

import numpy as np
import pysam

from .. import variants
from ..errors import InputError
from ..loci import other_prefix
from .brief_vcf import MOST_MARKS, strongest_first
from .causal_text import PREFIX, number
from .vcf import ACTS_ON, TABIX_LIMIT, columns_of, encoded, htslib_reasons, info_keys, info_line
from .vcf_lines import VcfLines

BATCH = 1000  # records in hand, or
BATCH_BYTES = 16_000_000
CONTIGS_SHOWN = 5
PREDICTED = "predicted"
BRIEF = ("MARKS", "EFFECT", "SE")
OTHER_PREFIX = "other_prefix"
INFO_ID = re.compile(rb"##INFO=<(?:.*?,)?ID=([^,>]+)")


class Annotator:
    """What a run tells of the records of a VCF.

    Parameters
    ----------
    index : kipoi_deepmr.variants.LocusIndex
    loci : StoredLoci
    causal : CausalText
    names : sequence of str
        Of the loci.
    marks : list of str
    brief : sequence of str or None
        Tell of each allele the `MOST_MARKS` marks with the largest effect over standard error, instead of all, and
        which of these exposures it is an instrument of, instead of those of the pairs of `causal`.
    predictor : object, optional
        `predictor(placed)` gives, for the `Placed` records of a batch (None where out of loci), the effects and
        standard errors (mark,) of alleles that are no mutants, or the reason why there are none, by (number of the
        record, of the allele).

    Attributes
    ----------
    counts : collections.Counter
        `records`, `inside` a locus, in `several` loci, on contigs that hold loci only under another chr prefix
        (`other_prefix`), `annotated` with an effect, and `instruments`, alleles that are one.
    alleles : collections.Counter
        Those inside loci, by what became of them: `predicted`, or the reasons of `kipoi_deepmr.variants`.
    """

    def __init__(self, index, loci, causal, names, marks, predictor=None, brief=None):
        self._index, self._loci, self._causal, self._predictor = index, loci, causal, predictor
        self._names = [encoded(name) for name in names]
        self._marks, self._mark_keys = marks, info_keys(marks)
        self._columns = columns_of(causal.pairs, causal.together, marks)
        self._in_lists = [encoded(mark).replace("&", "%26") for mark in marks]
        self._brief = brief is not None
        self._served = np.array([marks.index(name) for name in brief], np.intp) if self._brief else None
        self._number_keys = [f"{PREFIX}{key}" for key in BRIEF] if self._brief else [
            f"{PREFIX}{start}_{key}" for key in self._mark_keys for start in ("EFFECT", "SE")]
        self._no_numbers = ["."] * len(self._number_keys)
        self.counts, self.alleles = Counter(), Counter()

    @property
    def contigs(self):
        return self._index.contigs

    @property
    def meanings(self):
        """Why an allele has no effects, in words, by reason: dict of str to str."""
        return self._index.meanings

    def fields(self):
        """Key, Number, Type and Description of each INFO field, in the order of the records."""
        yield f"{PREFIX}LOCUS", "1", "String", (
            "Locus whose centre is nearest, of those that have its effects (name percent-encoded)")
        yield f"{PREFIX}LOCUS_STRAND", "1", "String", "Strand of the locus that the model sees"
        reasons = "; ".join(f"{reason}: {meaning}" for reason, meaning in self.meanings.items())
        yield f"{PREFIX}STATUS", "A", "String", f"{PREDICTED}, or why not. {reasons}"
        yield from self._fields_of_effects()
        which = (f", at most {MOST_MARKS}, those with the largest effect over standard error first" if self._brief else
                 " in at least one pair")
        what = (f"Exposures that the allele is an instrument of{which} (names percent-encoded, & between them), . if "
                "none")
        yield f"{PREFIX}INSTRUMENT", "A", "String", what
        if self._loci.tells_acts:
            yield f"{PREFIX}ACTS_ON", "A", "String", f"{ACTS_ON} (name percent-encoded), . if none is known"
        yield from self._causal.fields()

    def _fields_of_effects(self):
        effect = "ALT minus REF, mean over ensemble members"
        if self._brief:
            among = f"{PREFIX}MARKS (& between them)"
            yield f"{PREFIX}MARKS", "A", "String", (f"The {MOST_MARKS} marks with the largest effect over standard "
                                                    "error (names percent-encoded, & between them)")
            yield f"{PREFIX}EFFECT", "A", "String", f"{effect}, one for each of {among}"
            yield f"{PREFIX}SE", "A", "String", f"Standard errors of {PREFIX}EFFECT, one for each of {among}"
            return
        for key, mark in zip(self._mark_keys, self._marks, strict=True):
            yield f"{PREFIX}EFFECT_{key}", "A", "Float", f"{effect}; mark: {mark}"
            yield f"{PREFIX}SE_{key}", "A", "Float", f"Standard error of {PREFIX}EFFECT_{key}; mark: {mark}"

    def _numbers(self, effect, effect_se):
        """Values of `_number_keys` of one allele."""
        if not self._brief:
            return [number(v) for v in np.stack([effect, effect_se], -1).ravel().tolist()]
        marks = strongest_first(effect, effect_se)[:MOST_MARKS]
        return ["&".join(self._in_lists[mark] for mark in marks),
                *("&".join(map(number, values[marks].tolist())) for values in (effect, effect_se))]

    def annotated(self, batch):
        """The lines (bytes) of a batch of (line, columns), with INFO added to those of records in loci."""
        placed = [self._place(columns) for _, columns in batch]
        predicted = self._predictor(placed) if self._predictor else {}
        for record, ((line, columns), place) in enumerate(zip(batch, placed, strict=True)):
            yield self._line(columns, self._info(record, place, predicted)) if place else line

    def _place(self, columns):
        contig = columns[0].decode("utf-8", "replace")
        position, alts = int(columns[1]) - 1, columns[4].upper().split(b",")
        hints = variants.Hints.of(columns[7], position, alts)
        placed = self._index.place(contig, position, columns[3].upper(), alts, hints)
        self.counts["records"] += 1
        if placed:
            self.counts["inside"] += 1
            self.counts["several"] += placed.n_loci > 1
        elif contig not in self._index.contigs and other_prefix(contig) in self._index.contigs:
            self.counts[OTHER_PREFIX] += 1
        return placed

    def _line(self, columns, info):
        before = columns[7]
        after = (b"" if before in (b".", b"") else before.rstrip(b";") + b";") + info.encode()
        return b"\t".join([*columns[:7], after, *columns[8:]])

    def _info(self, record, placed, predicted):
        """What INFO gets: the locus, each ALT's effects or why there are none, and causal effects."""
        told = [self._of_allele(placed.locus, allele, predicted.get((record, k), allele.kind))
                for k, allele in enumerate(placed.alleles)]
        statuses, numbers, instruments, exposures, acts_on = zip(*told, strict=True)
        self.alleles.update(statuses)
        self.counts["instruments"] += sum(map(bool, exposures))
        text = (f"{PREFIX}LOCUS={self._names[placed.locus]};{PREFIX}LOCUS_STRAND={self._index.strand[placed.locus]};"
                f"{PREFIX}STATUS={','.join(statuses)}")
        if PREDICTED in statuses:
            self.counts["annotated"] += 1
            columns = zip(*numbers, strict=True)
            text += "".join(f";{key}={','.join(values)}"
                            for key, values in zip(self._number_keys, columns, strict=True))
            shown = ("&".join(self._in_lists[mark] for mark in each) or "." for each in exposures)
            text += f";{PREFIX}INSTRUMENT={','.join(shown)}"
            text += f";{PREFIX}ACTS_ON={','.join(acts_on)}" if self._loci.tells_acts else ""
        return text + self._causal.of(placed.locus, tuple(sorted(set().union(*instruments))))

    def _of_allele(self, locus, allele, found):
        """Status, numbers as text, which of the causal effects' `together` it is an instrument of, the exposures that
        are shown of these, and what it acts on."""
        instruments, exposures, acts_on = (), (), "."
        if allele.mutant >= 0:
            stored = self._loci[locus]
            found = stored.effect[allele.mutant], stored.effect_se[allele.mutant]
            if np.isnan(found[0]).all():
                return variants.NOT_MUTATED, self._no_numbers, (), (), "."
            serves = self._loci.instruments_of(locus, allele.mutant)
            instruments = np.flatnonzero(serves.of_pairs(*self._columns)).tolist()
            exposures = self._exposures(serves, instruments, found)
            mark = self._loci.acts_on(locus, allele.mutant) if self._loci.tells_acts else -1
            acts_on = encoded(self._marks[mark]) if mark >= 0 else "."
        if isinstance(found, str):
            return found, self._no_numbers, instruments, exposures, acts_on
        return PREDICTED, self._numbers(*found), instruments, exposures, acts_on

    def _exposures(self, serves, instruments, effects):
        """Numbers of the marks that are shown as exposures of an allele."""
        if not self._brief:
            return list(dict.fromkeys(self._columns[0][instruments].tolist()))
        marks = self._served[serves.mask[self._served]]
        return marks[strongest_first(*(values[marks] for values in effects))][:MOST_MARKS].tolist()


def annotate_vcf(source, target, annotator):
    """Write a VCF again with what an annotator adds; records keep their order.

    Parameters
    ----------
    source : str
        VCF, plain, gzip or BGZF, or BCF.
    target : str or binary file
        A name that ends in .vcf.gz (BGZF, with an index beside it where the records are sorted) or .vcf; or a stream
        that gets plain VCF.
    annotator : Annotator

    Returns
    -------
    notes : list of str
        What there is to know of the file.
    index : str or None
        Ending that the name of the index has beyond that of the file; None without an index.

    Raises
    ------
    InputError
        The source is not a VCF, was annotated before, or names no contig as the run does.
    OSError
        The target cannot be written.
    """
    lines = VcfLines(source)
    header = _header(lines, annotator)
    if not isinstance(target, str):
        order = _write(target, header, lines, annotator)
        return _notes(lines, annotator, order, indexed=False), None
    packed = target.endswith(".vcf.gz")
    with htslib_reasons(target), (pysam.BGZFile(target, "wb") if packed else open(target, "wb")) as out:
        order = _write(out, header, lines, annotator)
    notes = _notes(lines, annotator, order, packed)
    return notes, _index(target, order) if packed else None


def _header(lines, annotator):
    """The header's lines with those of our INFO fields."""
    from .. import __version__

    *meta, columns = lines.header
    taken = {found[1].decode("utf-8", "replace") for line in meta if (found := INFO_ID.match(line))}
    fields = list(annotator.fields())
    clash = next((key for key, *_ in fields if key in taken), None)
    if clash:
        raise InputError(f"{lines.path}: it was annotated before (its header has {clash}); annotate the file "
                         f"that it was made from, or take our fields out, as with `bcftools annotate -x INFO/{clash}`")
    ours = [f"##kipoi_deepmr_annotateVersion={__version__}", *(info_line(*field) for field in fields)]
    return [*meta, *(line.encode() for line in ours), columns]


class _Order:
    """Whether records came sorted: each contig in one piece, and positions in order."""

    def __init__(self):
        self.is_sorted, self.last_position = True, 0
        self._contig, self._position, self._seen = None, -1, set()

    def add(self, contig, position):
        if contig != self._contig:
            self.is_sorted = self.is_sorted and contig not in self._seen
            self._seen.add(contig)
            self._contig = contig
        elif position < self._position:
            self.is_sorted = False
        self._position, self.last_position = position, max(self.last_position, position)


def _write(out, header, lines, annotator):
    order, records = _Order(), iter(lines)
    out.write(b"\n".join(header) + b"\n")
    while batch := _batch(records):
        for _, columns in batch:
            order.add(columns[0], int(columns[1]))
        out.write(b"\n".join(annotator.annotated(batch)) + b"\n")
    return order


def _batch(records):
    batch, size = [], 0
    for record in islice(records, BATCH):
        batch.append(record)
        size += len(record[0])
        if size > BATCH_BYTES:
            break
    return batch


def _index(path, order):
    """Index a file of sorted records; the ending of the index, or None."""
    if not order.is_sorted:
        return None
    far = order.last_position > TABIX_LIMIT
    with htslib_reasons(path):
        pysam.tabix_index(path, preset="vcf", force=True, csi=far)
    return ".csi" if far else ".tbi"


def _notes(lines, annotator, order, indexed):
    counts, notes = annotator.counts, []
    if counts[OTHER_PREFIX]:
        told = (f"{counts[OTHER_PREFIX]:,} records lie on contigs that the run has only with another chr prefix; "
                "rename them, as with `bcftools annotate --rename-chrs`")
        if not counts["inside"]:
            raise InputError(f"{lines.path}: no record is in a locus: {told}")
        notes.append(told)
    elif counts["records"] and not counts["inside"]:
        contigs = ", ".join(annotator.contigs[:CONTIGS_SHOWN])
        notes.append(f"no record is in a locus of the run, whose loci are on {contigs}")
    if lines.carriage_returns:
        notes.append("line ends of Windows (CR LF) became LF")
    if indexed and not order.is_sorted:
        notes.append("no index: the records are not sorted (`bcftools sort`)")
    return notes
