"""VCF 4.3: one record per instrument (or per mutant), on the forward strand, REF checked against the FASTA.

`vcf_alleles` says how a mutant of several bases is spelled.
"""

import contextlib
import errno
import heapq
import logging
import os
import re
import shutil
import tempfile
from urllib.parse import quote

import numpy as np
import pysam

from .. import dna
from ..effects_store import StoredMutants
from ..errors import InputError
from ..files import together
from .vcf_alleles import ABLATED, DESCRIPTION, alleles_of

SUFFIX, INDEX = ".vcf.gz", ".tbi"
BLOCK_BYTES = 32_000_000  # of effects read at a time: many loci of a usual model, one of the largest
FULL = 1_000_000  # bytes free: less than htslib holds back
TABIX_LIMIT = 2**29  # of a .tbi index, which holds no position beyond it
ACTS_ON = "Mark on which the variant acts directly, most if on several"
VARIABLES = ("effect", "effect_se")

_NOT_IN_KEY = re.compile(r"[^0-9A-Za-z_.]")
# VCF 4.3 demands : ; = % , CR LF TAB; the blanks, for tools that split at them; > parts the names of a pair
_NOT_IN_VALUE = re.compile(r"[\s\x00-\x1f\x7f:;=%,>]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

log = logging.getLogger(__name__)


def write_vcf(path, effects, genome, local, rule, exposures, outcomes, which="instruments", index=None, shown=iter):
    """Write instruments, or all mutants, as BGZF-compressed VCF with its tabix index beside it.

    A variant is an instrument of the pairs exposure > outcome for which `rule` has it as one. Its record has
    FILTER `PASS`, since many pipelines keep nothing else (`bcftools view -f PASS`); with `which="all"` the other
    mutants have FILTER `.`, so that the same command picks the instruments from that file.

    Records are in the order of contigs in the FASTA, position, locus, ALT; overlapping loci have records of their own.
    Names in INFO values are percent-encoded (`urllib.parse.unquote` decodes them). Numbers are written with nine
    significant digits, which give back float32 exactly; that is what VCF's Float is and what htslib keeps, so of the
    causal effects (float64) the TSV holds more, and files that bcftools rewrites hold six digits.

    Parameters
    ----------
    path : str
        Ends in .vcf.gz; both files appear when they are complete, the index last.
    effects : xarray.Dataset
        As `effects_store` declares it; read by blocks of loci.
    genome : kipoi_deepmr.loci.Genome
    local : pandas.DataFrame or CausalEffects
        Columns start, exposure, outcome, method, estimate, se; rows in the order of the loci of `effects`, then
        exposures, outcomes, methods.
    rule : kipoi_deepmr.instruments.InstrumentRule
    exposures, outcomes : sequences of str
        Names of marks; every ordered pair of different marks counts.
    which : {"instruments", "all"}
    index : str, optional
        Name of the index; by default that of the VCF and .tbi.
    shown : callable
        Passes the numbers of the first loci of blocks on, and shows how far they are.

    Returns
    -------
    int
        Number of records.

    Raises
    ------
    OSError
        The files cannot be written; ENOSPC where the disk is full.
    InputError
        `path` has another ending, the FASTA is not the one that the effects were predicted from, or a locus lies too
        far along its contig for a tabix index.
    ValueError
        `which` is unknown, or `local` has other rows than loci, exposures and outcomes ask for.
    """
    if which not in ("instruments", "all"):
        raise ValueError(f'which must be "instruments" or "all", not {which!r}')
    pairs = [(x, y) for x in exposures for y in outcomes if x != y]
    return write_records(path, Records(effects, genome, local, rule, pairs, which == "all", shown), index)


def write_records(path, records, index=None):
    """Write `Records` as a compressed VCF with its index; path, index, result and errors are those of `write_vcf`."""
    path = os.fspath(path)
    if not path.endswith(SUFFIX):
        raise InputError(f"{path}: the VCF is compressed with BGZF, so its name must end in {SUFFIX}")
    index = path + INDEX if index is None else index
    with together() as beside:
        partial = beside(path)
        with htslib_reasons(partial):
            count = _compress(partial, records)
            pysam.tabix_index(partial, preset="vcf", force=True)
        shutil.move(partial + INDEX, beside(index))
    if records.n_unchanged:
        log.warning("VCF: %s mutants are left out, since what replaced their bases is what stood there",
                    f"{records.n_unchanged:,}")
    return count


class CausalEffects:
    """The estimates and standard errors of a local table, kept in a file without a name until the VCF is written.

    Parameters
    ----------
    folder : str
        Where the file is.
    """

    def __init__(self, folder):
        self._folder, self._file, self._methods = folder or ".", None, []

    def add(self, table):
        """Take the next rows of the local table, whole loci."""
        if self._file is None:
            self._methods = [str(method) for method in dict.fromkeys(table["method"])]
            self._file = tempfile.TemporaryFile(dir=self._folder)
        self._file.write(table[["estimate", "se"]].to_numpy(dtype=np.float64, na_value=np.nan).tobytes())

    def of(self, n_loci, n_pairs):
        """Methods, and estimates and standard errors as (locus, pair, method, 2) float64 on disk."""
        self._file.flush()
        shape = n_loci, n_pairs, len(self._methods), 2
        return self._methods, np.memmap(self._file, np.float64, "r", shape=shape)


@contextlib.contextmanager
def htslib_reasons(path):
    """Raise what htslib fails with, without a reason, as an OSError that has one; htslib prints nothing meanwhile."""
    before = pysam.set_verbosity(0)
    try:
        yield
    except OSError as error:
        full = shutil.disk_usage(os.path.dirname(path) or ".").free < FULL
        number = error.errno or (errno.ENOSPC if full else errno.EIO)
        raise OSError(number, os.strerror(number), path) from error
    finally:
        pysam.set_verbosity(before)


def _compress(path, records):
    count = 0
    with pysam.BGZFile(path, "wb") as file:
        file.write(records.header().encode())
        for line in records:
            file.write(line.encode())
            count += 1
    return count


class Records:
    """Header and sorted record lines of one VCF; the arguments are those of `write_vcf`, and (exposure, outcome) pairs.

    Attributes
    ----------
    n_unchanged : int
        Mutants that would have a record, but are what the reference is, among the lines given so far.
    """

    def __init__(self, effects, genome, local, rule, pairs, every, shown=iter):
        self._shown, self.n_unchanged = shown, 0
        self._effects, self._genome, self._rule, self._every = effects, genome, rule, every
        self._chrom, self._start, self._end, self._strand, self._name = (
            effects[c].values for c in ("chrom", "start", "end", "strand", "name")
        )
        self._mutants, self._approximation = StoredMutants(effects), effects.attrs.get("approximation")
        self._marks = [str(m) for m in effects["mark"].values]
        self._mark_keys = info_keys(self._marks)
        self._pairs = [f"{encoded(x)}>{encoded(y)}" for x, y in pairs]
        self._pairs_of = served_together(pairs, rule)
        self._columns = columns_of(pairs, self._pairs_of, self._marks)
        self._methods, self._causal = self._causal_effects(local, pairs)
        self._method_keys = info_keys(self._methods)
        self._pair_keys = ["PAIRS"] + [f"{start}{key}" for key in self._method_keys for start in ("CE_", "CE_SE_")]
        self._numbers = "".join(f";EFFECT_{key}=%.9g;SE_{key}=%.9g" for key in self._mark_keys)

    def _causal_effects(self, local, pairs):
        """Methods, and estimates and standard errors that `[locus, pairs]` finds: (pair, method, 2)."""
        if isinstance(local, CausalEffects):
            return local.of(len(self._start), len(pairs))
        return _causal_effects(local, self._start, pairs)

    def header(self):
        """Text up to and including the line of column names."""
        from .. import __version__

        lines = ["##fileformat=VCFv4.3", f"##source=kipoi_deepmr {__version__}"]
        if self._approximation:
            lines.append(f"##effects_approximated_by={self._approximation['engine']}")
        lines.append('##FILTER=<ID=PASS,Description="All filters passed">')
        lines += [f"##contig=<ID={name},length={length}>" for name, length in self._genome.contigs.items()]
        if self._has_means:
            lines.append(f'##ALT=<ID={ABLATED[1:-1]},Description="{DESCRIPTION}">')
        lines += [info_line(*field) for field in self._fields()]
        lines.append("#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO")
        return "\n".join(lines) + "\n"

    @property
    def _has_means(self):
        """Whether some effects are means over draws."""
        return bool((self._mutants.draws > 1).any())

    def _fields(self):
        """Key, Number, Type and Description of each INFO field, in the order of the records."""
        yield "LOCUS", "1", "String", "Name of the locus (percent-encoded)"
        yield "LOCUS_STRAND", "1", "String", "Strand of the locus that the model sees; REF and ALT are on the + strand"
        if not self._mutants.are_single:
            kinds = ", ".join(self._mutants.kinds)
            yield "KIND", "1", "String", f"Kind of the mutant: {kinds}"
        if self._has_means:
            yield "END", "1", "Integer", f"Last base that changes, of {ABLATED}"
            yield "SVLEN", ".", "Integer", f"Number of bases that change, of {ABLATED}"
            yield "DRAWS", "1", "Integer", f"Replacements over which the effects are means, of {ABLATED}"
        yield from self._fields_of_effects()
        if self._rule.direct:
            yield "ACTS_ON", "1", "String", f"{ACTS_ON} (name percent-encoded); absent if none is known"
            yield "PLEIOTROPIC", "0", "Flag", "The variant acts directly on a further mark, or follows a hidden cause"
        yield from self._fields_of_pairs()

    def _fields_of_effects(self):
        for key, mark in zip(self._mark_keys, self._marks, strict=True):
            effect = "Mutant minus reference, mean over ensemble members"
            yield f"EFFECT_{key}", "1", "Float", f"{effect}; mark: {mark}"
            yield f"SE_{key}", "1", "Float", f"Standard error of EFFECT_{key}; mark: {mark}"

    def _fields_of_pairs(self):
        pairs = "Pairs exposure>outcome that the variant is an instrument of (names percent-encoded); absent if none"
        yield "PAIRS", ".", "String", pairs
        for key, method in zip(self._method_keys, self._methods, strict=True):
            effect = "Causal effects at this locus, one for each of PAIRS, . where not estimated"
            yield f"CE_{key}", ".", "Float", f"{effect}; method: {method}"
            yield f"CE_SE_{key}", ".", "Float", f"Standard errors of CE_{key}; method: {method}"

    def __iter__(self):
        """Lines in order; only loci that overlap the current position, and the block being read, are held."""
        begun = []  # a heap of (key of the next record, its line, records after it), one for each locus begun
        for key, locus in self._loci():
            yield from _before(key, begun)
            first = next(locus, None)
            if first:
                heapq.heappush(begun, (*first, locus))
        yield from _before((len(self._genome.contigs),), begun)

    def _loci(self):
        """(contig, start) and the iterator of records of each locus, in order of contig and start."""
        contigs = self._contigs()
        order = np.lexsort((self._start, contigs))
        letters = sum(self._effects[name].dtype.itemsize for name in ("ref_base", "alt_base"))
        size = max(1, BLOCK_BYTES // (self._effects.sizes["variant"] * (8 * len(self._marks) + letters)))
        for i in self._shown(range(0, len(order), size)):
            # in the order of the store, which is how its chunks are read fastest
            indices = np.sort(order[i : i + size])
            block = self._effects[list(VARIABLES)].isel(locus=indices)
            effect, effect_se = (block[v].values for v in VARIABLES)
            mutants = list(self._mutants.on_contig(indices))
            instruments = self._rule.instruments(effect, effect_se, indices)
            for index in order[i : i + size]:
                j = np.searchsorted(indices, index)
                alleles = self._alleles(index, mutants[j])
                contig = int(contigs[index])
                yield (contig, int(self._start[index]) - 1), self._records(  # the base before a deletion is in REF
                    contig, index, effect[j], effect_se[j], instruments.at(j), alleles, mutants[j])

    def _contigs(self):
        """Rank of each locus's contig in the FASTA; raises `InputError` for loci that are not within it."""
        lengths = self._genome.contigs
        for chrom, end, name in zip(self._chrom, self._end, self._name, strict=True):
            if end > lengths.get(chrom, 0):
                reason = f"ends after it, at {end}" if chrom in lengths else "lies on a contig that it lacks"
                raise InputError(f"{self._genome.path}: locus {name} ({chrom}) {reason}; this is not the FASTA "
                                 "that the effects were predicted from")
            if end > TABIX_LIMIT:
                raise InputError(f"locus {name} ({chrom}) ends at {end}, but the tabix index of a VCF holds no "
                                 f"position beyond {TABIX_LIMIT}; leave out such loci or split the contig")
        rank = {chrom: i for i, chrom in enumerate(lengths)}
        return np.array([rank[chrom] for chrom in self._chrom])

    def _alleles(self, index, mutants):
        """`Alleles` of a locus's mutants, whose REF is that of the FASTA."""
        chrom, start, end = str(self._chrom[index]), int(self._start[index]), int(self._end[index])
        first = max(0, start - 1)
        around = self._genome.fetch(chrom, first, min(end + 1, self._genome.contigs[chrom]))
        n = mutants.length
        position = np.repeat(mutants.position - (np.cumsum(n) - n), n) + np.arange(n.sum())  # of each base that changes
        ref = np.frombuffer("".join(mutants.ref[n > 0].tolist()).encode(), np.uint8)
        in_fasta = around[position - first]
        wrong = np.flatnonzero(in_fasta != ref)
        if len(wrong):
            k = wrong[0]
            raise InputError(
                f"{self._genome.path}: locus {self._name[index]}: at {chrom}:{position[k] + 1} the FASTA has "
                f"{chr(in_fasta[k])}, but the effects were predicted from {chr(ref[k])} (forward strand); "
                "give the FASTA that they were predicted from")
        return alleles_of(mutants, dna.decode(around), first)

    def _records(self, contig, index, effect, effect_se, instruments, alleles, mutants):
        """(contig, position, locus) and line of each record of one locus, by position and ALT."""
        served = instruments.of_pairs(*self._columns)
        is_instrument = self._is_instrument(instruments, served)
        order = np.lexsort((alleles.alt, alleles.ref, alleles.position))
        order = order[~np.isnan(effect[order]).all(axis=1)] if np.isfinite(effect).any() else order
        if not self._every:
            order = order[is_instrument[order]]
        self.n_unchanged += int((~alleles.is_there & (mutants.length > 0))[order].sum())
        order = order[alleles.is_there[order]]
        chrom, pair_values, suffixes = self._chrom[index], self._pair_values(index), {}
        acts = acts_text(self._rule.acts(effect[order], effect_se[order], index), self._marks, len(order))
        texts = self._texts_of_effects(effect, effect_se, instruments, order)
        prefix = f"LOCUS={encoded(self._name[index])};LOCUS_STRAND={self._strand[index]}"
        for i, acts_on, values in zip(order, acts, texts, strict=True):
            pattern = served[i].tobytes()
            if pattern not in suffixes:
                suffixes[pattern] = self._suffix([pair_values[j] for j in np.flatnonzero(served[i])])
            passed = "PASS" if is_instrument[i] else "."
            yield (contig, int(alleles.position[i]), int(index)), (
                f"{chrom}\t{alleles.position[i] + 1}\t.\t{alleles.ref[i]}\t{alleles.alt[i]}\t.\t{passed}\t"
                f"{prefix}{self._text_of_kind(i, alleles, mutants)}{values}{acts_on}{suffixes[pattern]}\n")

    def _text_of_kind(self, i, alleles, mutants):
        """INFO of a mutant's kind and of where it ends, as text that begins with `;`; empty if all are single."""
        if self._mutants.are_single:
            return ""
        text = f";KIND={self._mutants.kind[i]}"
        if alleles.is_averaged[i]:
            text += (f";END={mutants.position[i] + mutants.length[i]};SVLEN={mutants.length[i]}"
                     f";DRAWS={self._mutants.draws[i]}")
        return text

    def _is_instrument(self, instruments, served):
        """(variant,) bool, of one locus."""
        return served.any(axis=1)

    def _texts_of_effects(self, effect, effect_se, instruments, order):
        """INFO of the variants' effects, as text that begins with `;`, in some order."""
        numbers = np.stack([effect, effect_se], axis=-1).reshape(len(effect), -1)
        return ((self._numbers % tuple(numbers[i].tolist())).replace("=nan", "=.") for i in order)

    def _pair_values(self, index):
        """INFO values of one locus, in the order of `_pair_keys`, for pairs that are served together."""
        values = []
        for pairs in self._pairs_of:
            effects = self._causal[index, pairs].reshape(len(pairs), -1).T.tolist()
            numbers = [",".join("." if x != x else f"{x:.9g}" for x in row) for row in effects]
            values.append([",".join(self._pairs[pair] for pair in pairs), *numbers])
        return values

    def _suffix(self, values):
        """INFO of a record that is an instrument of pairs with these values; empty if there is none."""
        columns = zip(*values, strict=True)
        return "".join(f";{key}={','.join(parts)}" for key, parts in zip(self._pair_keys, columns, strict=False))


def acts_text(acts, marks, n_variants):
    """INFO of the mark on which each variant acts, as text that begins with `;`: a list, empty where none is known."""
    if acts is None:
        return [""] * n_variants
    clean = [f";ACTS_ON={encoded(mark)}" for mark in marks]
    texts = np.array([*clean, *(f"{text};PLEIOTROPIC" for text in clean), ""], dtype=object)
    return texts[np.where(acts.acts_on < 0, -1, acts.acts_on + np.where(acts.clean, 0, len(marks)))].tolist()


def served_together(pairs, rule):
    """Numbers of the pairs that always have the same instruments: those of one exposure, with Steiger's filter each.

    Parameters
    ----------
    pairs : list of (exposure, outcome)
    rule : InstrumentRule

    Returns
    -------
    list of list of int
    """
    together = {}
    for number, (exposure, outcome) in enumerate(pairs):
        together.setdefault(exposure if rule.scale is None else (exposure, outcome), []).append(number)
    return list(together.values())


def columns_of(pairs, together, marks):
    """Numbers of exposure and outcome of one pair of each group that `served_together` gives: two arrays."""
    firsts = [pairs[numbers[0]] for numbers in together]
    return [np.array([marks.index(names[role]) for names in firsts], np.intp) for role in (0, 1)]


def _before(key, begun):
    """Take from a heap of loci begun, in order, the lines of all records before a key."""
    while begun and begun[0][0] < key:
        _, line, rest = begun[0]
        yield line
        following = next(rest, None)
        if following:
            heapq.heapreplace(begun, (*following, rest))
        else:
            heapq.heappop(begun)


def _causal_effects(local, start, pairs):
    """Methods of the local table, and its estimates and standard errors: (locus, pair, method, 2) float64."""
    rows, surplus = divmod(len(local), len(start))
    first = local.iloc[:rows]
    methods = [str(m) for m in dict.fromkeys(first["method"])]
    expected = [(x, y, m) for x, y in pairs for m in methods]
    if surplus or list(zip(first["exposure"], first["outcome"], first["method"], strict=True)) != expected:
        raise ValueError("the local table must hold, for each locus, one row per exposure, outcome and method")
    if rows and not np.array_equal(local["start"].to_numpy()[::rows], start):
        raise ValueError("the local table does not follow the order of the loci")
    values = local[["estimate", "se"]].to_numpy(dtype=float, na_value=np.nan)
    return methods, values.reshape(len(start), len(pairs), len(methods), 2)


def info_keys(names):
    """An INFO key's part for each name: invalid characters become _, and a number parts names that then agree.

    Names that are valid as they stand keep their form.
    """
    taken, keys = {name for name in names if not _NOT_IN_KEY.search(name)}, []
    for name in names:
        key = stem = _NOT_IN_KEY.sub("_", name)
        number = 1
        while key != name and key in taken:
            number += 1
            key = f"{stem}_{number}"
        taken.add(key)
        keys.append(key)
    return keys


def encoded(name):
    return _NOT_IN_VALUE.sub(lambda match: quote(match[0], safe=""), str(name))


def info_line(key, number, kind, description):
    text = _CONTROL.sub(lambda match: quote(match[0]), description).replace("\\", "\\\\").replace('"', '\\"')
    return f'##INFO=<ID={key},Number={number},Type={kind},Description="{text}">'
