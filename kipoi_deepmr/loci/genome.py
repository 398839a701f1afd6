"""A genome: the bases of a FASTA file, by an index that was compared with the file."""

import hashlib
import logging
import os

import numpy as np

from .. import dna
from ..errors import InputError
from ..files import together, user_cache
from . import fasta_index
from .fasta_index import Mismatch, shown
from .stored_bytes import BgzfBytes, open_bytes

AGAIN = "remove the index and repeat the command, which makes a new one"

log = logging.getLogger(__name__)

_IS_LETTER = np.zeros(256, bool)
_IS_LETTER[np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-.*", np.uint8)] = True


class Genome:
    """A FASTA file, plain or BGZF, and its contigs.

    The index beside the file (.fai) is used if it describes the file. Otherwise one is made: where the old one is older
    than the file or missing. It is kept beside the file, or, where that cannot be written, in the user's cache.

    Attributes
    ----------
    path : str
    contigs : dict of str to int
        Lengths.

    Raises
    ------
    InputError
        The file is missing, empty or not FASTA, or its index describes another file.
    """

    def __init__(self, path):
        self.path = str(path)
        self._index_path, self._of_user = f"{path}.fai", os.path.join(user_cache(), "fasta", _key(path) + ".fai")
        _check_is_file(path)
        self._file = open_bytes(path)
        try:
            self._set_contigs(self._found() or self._made())
        except BaseException:
            self.close()
            raise

    def _set_contigs(self, contigs):
        self._contigs = {shown(contig.name): contig for contig in contigs}
        self.contigs = {name: contig.length for name, contig in self._contigs.items()}

    def _found(self):
        """The contigs of an index that there is; None where none is of use."""
        for path in (self._index_path, self._of_user):
            try:
                with open(path, "rb") as file:
                    contigs = fasta_index.contigs_of_index(file.read())
                fasta_index.check_headers(self._file, contigs)
                self._checked, self._used = set(), path
                return contigs
            except FileNotFoundError:
                continue
            except OSError as unreadable:
                raise InputError(f"{path}: this index of the FASTA cannot be read ({unreadable.strerror})") from None
            except Mismatch as mismatch:
                self._refuse(path, mismatch)
        return None

    def _refuse(self, path, mismatch):
        """Raise `InputError`, unless the index is our own or older than the FASTA: then another one may be made."""
        if path == self._of_user or os.path.getmtime(path) < os.path.getmtime(self.path):
            log.info("%s: does not describe %s any more (%s)", path, self.path, mismatch)
            return
        raise InputError(f"{self.path}: its index {path} does not describe it: {mismatch}; if the FASTA is as it "
                         f"should be, {AGAIN}") from mismatch

    def _made(self):
        """The contigs, by reading the whole file; an index is left for the next time."""
        contigs = fasta_index.make(self._file, self.path)
        self._checked, self._used = {contig.name for contig in contigs}, None
        for path in (self._index_path, self._of_user):
            try:
                if path == self._of_user:
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                self._write(path, contigs)
                return contigs
            except (OSError, InputError) as error:
                log.info("%s: cannot be written (%s)", path, error)
        log.warning("%s: neither its folder nor %s can be written: its index is made again by every command", self.path,
                    os.path.dirname(self._of_user))
        return contigs

    def _write(self, path, contigs):
        with together() as beside:
            with open(beside(path), "wb") as file:
                file.write(fasta_index.text_of_index(contigs))
            if isinstance(self._file, BgzfBytes) and path == self._index_path:
                with open(beside(f"{self.path}.gzi"), "wb") as file:
                    file.write(self._file.index())

    def fetch(self, chrom, start, end):
        """Bases of [start, end) on the forward strand: (end - start,) uint8, upper case.

        Raises
        ------
        InputError
            The FASTA has no such place, other lines than its index says, or something that is no letter there.
        """
        if not 0 <= start <= end <= self.contigs.get(chrom, -1):
            raise InputError(f"{self.path}: has no bases {chrom}:{start}-{end}")
        self.check_lines(chrom)
        contig = self._contigs[chrom]
        stored = self._file.read(contig.byte_of(start), contig.byte_of(end - 1) + 1) if end > start else b""
        bases = np.frombuffer(stored.translate(None, b" \t\r\n\v\f"), np.uint8)
        if len(bases) != end - start:
            raise InputError(f"{self.path}: cut off at {chrom}:{start}-{end} since it was opened")
        wrong = np.flatnonzero(~_IS_LETTER[bases])
        if len(wrong):
            raise InputError(f"{self.path}: holds {chr(bases[wrong[0]])!r} at {chrom}:{start + wrong[0] + 1:,}, which "
                             "is no letter of a sequence")
        return dna.upper(bases)

    def check_lines(self, chrom):
        """Compare all lines of a contig with the index, the first time; raises `InputError` where they differ."""
        contig = self._contigs[chrom]
        if contig.name in self._checked:
            return
        try:
            fasta_index.check_lines(self._file, contig)
            self._checked.add(contig.name)
        except Mismatch as mismatch:
            self._refuse(self._used, mismatch)
            self._set_contigs(self._made())

    def close(self):
        self._file.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def _check_is_file(path):
    if os.path.isdir(path):
        raise InputError(f"{path}: is a folder, not a FASTA file")
    if not os.path.exists(path):
        raise InputError(f"{path}: no such FASTA file")
    if not os.path.isfile(path):
        raise InputError(f"{path}: a pipe or a device, and a FASTA must be a file, which can be read at any place")
    if not os.path.getsize(path):
        raise InputError(f"{path}: the FASTA file is empty")


def _key(path):
    """Names a file in the user's cache."""
    return hashlib.sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:32]
