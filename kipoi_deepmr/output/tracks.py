"""Tracks for genome browsers: effects as bedGraph and bigWig, instruments as BED, an IGV session that opens them."""

import contextlib
import errno
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from typing import NamedTuple

import numpy as np

from ..effects_store import StoredMutants, locus_blocks, not_predicted, predicted_mutants
from ..errors import InputError, on_one_line
from ..loci.mutants import SINGLE
from .vcf import encoded
from .wide_tracks import ENDING, WideMutants, zeros_in

SESSION = "igv_session.xml"
COLOURS = {"effects": "0,114,178", "mutants": "0,158,115", "instruments": "213,94,0"}
ENDINGS = {"bedgraph": ".effects.bedGraph", "bigwig": ".effects.bw", "bed": ".instruments.bed", "mutants": ENDING}
ROOM_OF_BASE, ROOM_OF_CONTIG, ROOM = 20, 400, 200_000  # bytes of a bigWig, at most; some 7 of a base are used
LONGEST_NAME = 80  # letters of a file's name, without its ending


class TrackCounts(NamedTuple):
    """What was written.

    Attributes
    ----------
    bases : int
        With a value, from single mutants.
    shared : int
        Of them, how many lie in more than one locus.
    lost : int
        Loci without predictions.
    instruments : int or None
        Rows of all BED files of instruments; None without instruments.
    wide : int
        Mutants of several bases.
    """

    bases: int
    shared: int
    lost: int
    instruments: int | None
    wide: int = 0


class Places:
    """The bases of a store's loci on the forward strand, each once, in the order of contigs and positions.

    Parameters
    ----------
    effects : xarray.Dataset
    sizes : dict of str to int
        Lengths of contigs, in the order of the tracks.

    Attributes
    ----------
    contig, position : (base,) int64
        Number of the contig, and the position on it from 0.
    base_of : (locus, position) int64
        Which base each position of a locus is, as the model sees the locus.

    Raises
    ------
    InputError
        A locus is not within a contig.
    """

    def __init__(self, effects, sizes):
        chrom, start, end, strand, name = (effects[c].values for c in ("chrom", "start", "end", "strand", "name"))
        rank = {contig: i for i, contig in enumerate(sizes)}
        for contig, last, locus in zip(chrom, end, name, strict=True):
            if last > sizes.get(str(contig), 0):
                raise InputError(f"locus {on_one_line(locus)} ({on_one_line(contig)}) does not lie within the FASTA's "
                                 "contigs; give the FASTA that the effects were predicted from: --fasta_file")
        along = np.arange(StoredMutants(effects).length)
        position = np.where((strand == "-")[:, None], end[:, None] - 1 - along, start[:, None] + along)
        contig = np.broadcast_to(np.array([rank[str(each)] for each in chrom])[:, None], position.shape)
        both = np.stack([contig.ravel(), position.ravel()], axis=1)
        unique, number = np.unique(both, axis=0, return_inverse=True)
        self.contig, self.position = unique.T
        self.base_of = number.reshape(position.shape)


def of_mutants(of_position, value):
    """One number a position, from its three single mutants.

    Parameters
    ----------
    of_position : (locus, position, 3, mark) array
        Their effects.
    value : {"largest", "mean"}
        The effect with the largest absolute value, with its sign; or the mean.

    Returns
    -------
    (locus, position, mark) array
    """
    if value == "mean":
        return of_position.mean(2)
    largest = np.abs(np.nan_to_num(of_position)).argmax(2)
    return np.take_along_axis(of_position, largest[:, :, None], axis=2)[:, :, 0]


def write_tracks(folder, effects, sizes, marks, value="largest", rule=None, genome=None, shown=iter):
    """Write a bedGraph, a bigWig and BED files of each mark, and an IGV session of all of them, into a folder.

    bedGraph and bigWig are of the single mutants, if there are any. A base that lies in several loci has the mean of
    their values. Bases that were not mutated, and loci without predictions, have none. Mutants of several bases are BED
    features (`WideMutants`). The BED of instruments has a row for each mutant that is one of the mark: name
    locus:REF>ALT on the forward strand (the locus percent-encoded; for mutants of several bases locus:kind:REF>ALT,
    where ALT is - for a deletion and * for a mean over draws), score 1000 for the largest absolute effect of the mark's
    instruments.

    Parameters
    ----------
    folder : str
        There is nothing in it.
    effects : xarray.Dataset
    sizes : dict of str to int
        Lengths of contigs.
    marks : sequence of int
        Numbers of the marks.
    value : {"largest", "mean"}
        As for `of_mutants`.
    rule : kipoi_deepmr.instruments.InstrumentRule, optional
        Without it no BED is written.
    genome : str, optional
        The FASTA, which the session then opens.
    shown : callable
        Passes blocks of loci on, and shows how far they are.

    Returns
    -------
    TrackCounts

    Raises
    ------
    InputError
        A locus is not within a contig.
    """
    places, mutants = Places(effects, sizes), StoredMutants(effects)
    n_bases, names = len(places.position) if mutants.n_single else 0, file_names(effects["mark"].values[marks])
    instruments, lost = [[] for _ in marks], 0
    covered = np.zeros(n_bases, np.int32)
    with tempfile.TemporaryFile(dir=folder) as file, contextlib.ExitStack() as opened:
        wide = None if mutants.are_single else opened.enter_context(
            contextlib.closing(WideMutants(effects, marks, folder)))
        sums = zeros_in(file, (len(marks), n_bases))
        for block in shown(locus_blocks(effects)):
            effect = effects["effect"][block].values
            lost += int(not_predicted(effect).sum())
            if mutants.n_single:
                _add_bases(sums, covered, places.base_of[block], mutants.by_position(effect), marks, value)
            if wide:
                wide.add(block, effect)
            if rule is not None:
                error = effects["effect_se"][block].values.astype(np.float64)
                mask = rule.instruments(effect.astype(np.float64), error, np.arange(block.start, block.stop)).mask
                _add_instruments(instruments, effects, mutants, block, effect, mask, marks)
        used = covered > 0
        if mutants.n_single:
            for number, name in enumerate(names):
                _write_effects(folder, name, places, sizes, used, sums[number, used] / covered[used])
        del sums
        n_wide = wide.write(folder, names, list(sizes)) if wide else 0
    if rule is not None:
        for name, rows in zip(names, instruments, strict=True):
            _write_bed(os.path.join(folder, name + ENDINGS["bed"]), rows, list(sizes))
    titles = [str(mark) for mark in effects["mark"].values[marks]]
    kinds = {"effects": mutants.n_single > 0, "mutants": not mutants.are_single, "instruments": rule is not None}
    with open(os.path.join(folder, SESSION), "wb") as file:
        file.write(session(titles, names, [kind for kind, is_there in kinds.items() if is_there], genome,
                           _first_locus(effects)))
    return TrackCounts(int(used.sum()), int((covered > 1).sum()), lost,
                       sum(map(len, instruments)) if rule is not None else None, n_wide)


def _add_bases(sums, covered, base_of, of_position, marks, value):
    """Add a block's values to the sums of their bases, and to how many there are of each."""
    there = predicted_mutants(of_position).any(2)
    values = of_mutants(of_position[..., marks], value)
    for i, bases in enumerate(base_of):
        covered[bases[there[i]]] += 1
        sums[:, bases[there[i]]] += values[i, there[i]].T


def file_names(names):
    """A name for the files of each mark: letters that stand in any file name, and different in any file system."""
    taken, found = set(), []
    for name in names:
        stem = re.sub(r"[^0-9A-Za-z._+-]+", "_", str(name)).lstrip(".-")[:LONGEST_NAME] or "mark"
        each, number = stem, 1
        while each.casefold() in taken:
            number += 1
            each = f"{stem}_{number}"
        taken.add(each.casefold())
        found.append(each)
    return found


def _write_effects(folder, name, places, sizes, used, values):
    contig, position, contigs = places.contig[used], places.position[used], list(sizes)
    with open(os.path.join(folder, name + ENDINGS["bedgraph"]), "w") as file:
        file.writelines(f"{contigs[c]}\t{p}\t{p + 1}\t{v:.9g}\n"
                        for c, p, v in zip(contig.tolist(), position.tolist(), values.tolist(), strict=True))
    bigwig = big_wig()
    if bigwig is None:
        return
    path = os.path.join(folder, name + ENDINGS["bigwig"])
    if shutil.disk_usage(folder).free < ROOM_OF_BASE * len(values) + ROOM_OF_CONTIG * len(contigs) + ROOM:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)  # on a full disk pyBigWig would never end
    with bigwig.open(path, "w") as file:
        there = np.unique(contig)
        file.addHeader([(contigs[c], sizes[contigs[c]]) for c in range(len(contigs))])
        for c in there:
            of_contig = contig == c
            file.addEntries(contigs[c], position[of_contig].tolist(), values=values[of_contig].tolist(), span=1)


def big_wig():
    """The module pyBigWig; None where it is not installed."""
    try:
        import pyBigWig
    except ImportError:
        return None
    return pyBigWig


def _add_instruments(instruments, effects, mutants, block, effect, mask, marks):
    """Rows (contig, start, end, name, effect) of a block's instruments, to the list of each mark."""
    chrom, name = (effects[c].values[block] for c in ("chrom", "name"))
    for i, one in enumerate(mutants.on_contig(block)):
        for number, mark in enumerate(marks):
            for v in np.flatnonzero(mask[i, :, mark]):
                start = int(one.position[v])
                kind = "" if mutants.kind[v] == SINGLE else f"{mutants.kind[v]}:"
                label = f"{encoded(name[i])}:{kind}{one.ref[v]}>{one.alt[v] or '-'}"
                instruments[number].append((str(chrom[i]), start, start + int(one.length[v]), label,
                                            float(effect[i, v, mark])))


def _write_bed(path, rows, contigs):
    rank = {contig: i for i, contig in enumerate(contigs)}
    most = max((abs(effect) for *_, effect in rows), default=0) or 1.0
    rows.sort(key=lambda row: (rank[row[0]], *row[1:4]))
    with open(path, "w") as file:
        file.writelines(f"{contig}\t{start}\t{end}\t{name}\t{round(1000 * abs(effect) / most)}\t.\n"
                        for contig, start, end, name, effect in rows)


def _first_locus(effects):
    return f"{effects['chrom'].values[0]}:{int(effects['start'].values[0]) + 1}-{int(effects['end'].values[0])}"


def session(titles, names, kinds, genome, locus):
    """An IGV session that opens the tracks beside it.

    Parameters
    ----------
    titles, names : sequences of str
        Of the marks, and of their files.
    kinds : sequence of str
        Of tracks: keys of `COLOURS`.
    genome : str or None
        Path of the FASTA.
    locus : str
        Where to begin, as chr:start-end.

    Returns
    -------
    bytes
        XML, names escaped.

    References
    ----------
    https://igv.org/doc/desktop (sessions); IGV resolves paths against the session's own folder.
    """
    where = {"genome": genome} if genome else {}
    root = ET.Element("Session", {"version": "8", "locus": on_one_line(locus), **where})
    resources, panel = ET.SubElement(root, "Resources"), ET.Element("Panel", {"name": "DataPanel"})
    ending_of = {"effects": ENDINGS["bigwig" if big_wig() else "bedgraph"], "mutants": ENDINGS["mutants"],
                 "instruments": ENDINGS["bed"]}
    for title, name in zip(titles, names, strict=True):
        for kind, ending in ((kind, ending_of[kind]) for kind in kinds):
            ET.SubElement(resources, "Resource", {"path": name + ending})
            track = ET.SubElement(panel, "Track", {
                "id": name + ending, "name": f"{on_one_line(title)} {kind}", "color": COLOURS[kind], "visible": "true",
                **({"renderer": "BAR_CHART", "autoScale": "true", "windowFunction": "none"} if kind == "effects" else {
                    "displayMode": "COLLAPSED"})})
            if kind == "effects":
                ET.SubElement(track, "DataRange", {"baseline": "0.0", "drawBaseline": "true", "type": "LINEAR"})
    root.append(panel)
    ET.indent(root)
    return ET.tostring(root, encoding="UTF-8", xml_declaration=True) + b"\n"
