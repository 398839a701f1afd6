"""Tracks for genome browsers: effects as bedGraph and bigWig, instruments as BED, an IGV session that opens them."""

import errno
import os
import re
import shutil
import tempfile
import xml.etree.ElementTree as ET
from typing import NamedTuple

import numpy as np

from .. import dna
from ..effects_store import locus_blocks, predicted_mutants
from ..errors import InputError, on_one_line
from .vcf import encoded

SESSION = "igv_session.xml"
COLOURS = {"effects": "0,114,178", "instruments": "213,94,0"}
ENDINGS = {"bedgraph": ".effects.bedGraph", "bigwig": ".effects.bw", "bed": ".instruments.bed"}
ROOM_OF_BASE, ROOM_OF_CONTIG, ROOM = 20, 400, 200_000  # bytes of a bigWig, at most; some 7 of a base are used
LONGEST_NAME = 80  # letters of a file's name, without its ending


class TrackCounts(NamedTuple):
    """What was written.

    Attributes
    ----------
    bases : int
        With a value.
    shared : int
        Of them, how many lie in more than one locus.
    lost : int
        Loci without predictions.
    instruments : int or None
        Rows of all BED files; None without instruments.
    """

    bases: int
    shared: int
    lost: int
    instruments: int | None


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
        along = np.arange(effects.sizes["variant"] // 3)
        position = np.where((strand == "-")[:, None], end[:, None] - 1 - along, start[:, None] + along)
        contig = np.broadcast_to(np.array([rank[str(each)] for each in chrom])[:, None], position.shape)
        both = np.stack([contig.ravel(), position.ravel()], axis=1)
        unique, number = np.unique(both, axis=0, return_inverse=True)
        self.contig, self.position = unique.T
        self.base_of = number.reshape(position.shape)


def of_mutants(effect, value):
    """One number a position, from its three mutants.

    Parameters
    ----------
    effect : (locus, variant, mark) array
    value : {"largest", "mean"}
        The effect with the largest absolute value, with its sign; or the mean.

    Returns
    -------
    (locus, position, mark) array
    """
    of_position = effect.reshape(len(effect), -1, 3, effect.shape[-1])
    if value == "mean":
        return of_position.mean(2)
    largest = np.abs(np.nan_to_num(of_position)).argmax(2)
    return np.take_along_axis(of_position, largest[:, :, None], axis=2)[:, :, 0]


def write_tracks(folder, effects, sizes, marks, value="largest", rule=None, genome=None, shown=iter):
    """Write a bedGraph, a bigWig and a BED file a mark, and an IGV session of all of them, into a folder.

    A base that lies in several loci has the mean of their values. Bases that were not mutated, and loci without
    predictions, have none. BED has a row for each mutant that is an instrument of the mark: name locus:REF>ALT on the
    forward strand (the locus percent-encoded), score 1000 for the largest absolute effect of the mark's instruments.

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
    places = Places(effects, sizes)
    n_bases, names = len(places.position), file_names(effects["mark"].values[marks])
    instruments, lost = [[] for _ in marks], 0
    covered = np.zeros(n_bases, np.int32)
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in marks:
            file.write(bytes(4 * n_bases))  # of a file with holes, a full disk would end us by a signal
        file.flush()
        sums = np.memmap(file, np.float32, "r+", shape=(len(marks), n_bases))
        for block in shown(locus_blocks(effects)):
            effect = effects["effect"][block].values
            there = predicted_mutants(effect).reshape(len(effect), -1, 3).any(2)
            lost += int((~there.any(1)).sum())
            values = of_mutants(effect[..., marks], value)
            for i, bases in enumerate(places.base_of[block]):
                covered[bases[there[i]]] += 1
                sums[:, bases[there[i]]] += values[i, there[i]].T
            if rule is not None:
                error = effects["effect_se"][block].values.astype(np.float64)
                mask = rule.instruments(effect.astype(np.float64), error, np.arange(block.start, block.stop)).mask
                _add_instruments(instruments, effects, block, effect, mask, marks)
        used = covered > 0
        for number, name in enumerate(names):
            _write_effects(folder, name, places, sizes, used, sums[number, used] / covered[used])
        del sums
    if rule is not None:
        for name, rows in zip(names, instruments, strict=True):
            _write_bed(os.path.join(folder, name + ENDINGS["bed"]), rows, list(sizes))
    titles = [str(mark) for mark in effects["mark"].values[marks]]
    with open(os.path.join(folder, SESSION), "wb") as file:
        file.write(session(titles, names, rule is not None, genome, _first_locus(effects)))
    return TrackCounts(int(used.sum()), int((covered > 1).sum()), lost,
                       sum(map(len, instruments)) if rule is not None else None)


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


def _add_instruments(instruments, effects, block, effect, mask, marks):
    """Rows (contig, position, name, effect) of a block's instruments, to the list of each mark."""
    chrom, start, end, strand, name = (effects[c].values[block] for c in ("chrom", "start", "end", "strand", "name"))
    along = effects["position"].values
    refs, alts = (effects[base][block].values.astype("S1").view(np.uint8) for base in ("ref_base", "alt_base"))
    for i in np.flatnonzero(mask[..., marks].any((1, 2))):
        reverse = strand[i] == "-"
        ref, alt = (dna.complement(bases[i]) if reverse else bases[i] for bases in (refs, alts))
        for number, mark in enumerate(marks):
            for v in np.flatnonzero(mask[i, :, mark]):
                position = end[i] - 1 - along[v] if reverse else start[i] + along[v]
                mutant = f"{encoded(name[i])}:{chr(ref[v])}>{chr(alt[v])}"
                instruments[number].append((str(chrom[i]), int(position), mutant, float(effect[i, v, mark])))


def _write_bed(path, rows, contigs):
    rank = {contig: i for i, contig in enumerate(contigs)}
    most = max((abs(effect) for *_, effect in rows), default=0) or 1.0
    rows.sort(key=lambda row: (rank[row[0]], row[1], row[2]))
    with open(path, "w") as file:
        file.writelines(f"{contig}\t{p}\t{p + 1}\t{name}\t{round(1000 * abs(effect) / most)}\t.\n"
                        for contig, p, name, effect in rows)


def _first_locus(effects):
    return f"{effects['chrom'].values[0]}:{int(effects['start'].values[0]) + 1}-{int(effects['end'].values[0])}"


def session(titles, names, with_instruments, genome, locus):
    """An IGV session that opens the tracks beside it.

    Parameters
    ----------
    titles, names : sequences of str
        Of the marks, and of their files.
    with_instruments : bool
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
    of_effects = "bigwig" if big_wig() else "bedgraph"
    for title, name in zip(titles, names, strict=True):
        kinds = {"effects": ENDINGS[of_effects], **({"instruments": ENDINGS["bed"]} if with_instruments else {})}
        for kind, ending in kinds.items():
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
