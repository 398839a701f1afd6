"""VCF and BCF as lines of text, one after the other, whatever they hold; what is no VCF is refused with its line."""

import gzip
import os
import zlib

import pysam

from ..errors import InputError, one_line

COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
BCF = b"BCF\2"
GZIP = b"\x1f\x8b"
BGZF = b"BC"  # at 12 in a file that has gzip's magic number
LAST_BLOCK = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")  # ends each whole BGZF file
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
READ_BYTES = 1 << 20


class VcfLines:
    """The lines of a VCF file (plain, gzip or BGZF) or a BCF file, read once.

    Lines are taken as they are, so that what is not ours to change comes out as it went in: htslib, which reads BCF
    here, would write numbers of VCF with six digits and drop what the header does not declare.

    Parameters
    ----------
    path : str
        A file, or a pipe as in `<(...)`; BCF from a file only.

    Attributes
    ----------
    header : list of bytes
        Its lines, that of the columns last, without line ends.
    carriage_returns : bool
        Line ends are those of Windows (CR LF); they are dropped.

    Raises
    ------
    InputError
        The file is missing, empty, cut off, or no VCF; in the iteration also what is wrong with a line.
    """

    def __init__(self, path):
        self.path = path
        if not os.path.exists(path) or os.path.isdir(path):
            raise InputError(f"{path}: no such VCF file")
        self.carriage_returns, self._number = False, 0
        self._lines = self._numbered()
        self.header = self._read_header()
        self._n_tabs = self.header[-1].count(b"\t")

    def _read_header(self):
        header = []
        for line in self._lines:
            line = line.removeprefix(BYTE_ORDER_MARK)
            if not header and not line.lower().startswith(b"##fileformat=vcf"):
                raise InputError(f"{self.path}: not a VCF file: it must begin with ##fileformat=VCF, not with "
                                 f"{_shown(line)}")
            header.append(line)
            if not line.startswith(b"##"):
                break
        if not header:
            raise InputError(f"{self.path}: the file is empty; a VCF without records still has a header")
        if not header[-1].startswith(COLUMNS):
            tabs = "" if b"\t" in header[-1] else " (columns must be parted by tabs)"
            raise InputError(f"{self.path}, line {self._number}: the header must end with the line #CHROM POS ID REF "
                             f"ALT QUAL FILTER INFO, not {_shown(header[-1])}{tabs}")
        return header

    def __iter__(self):
        """(line, its first eight columns and the rest) of each record, as bytes; POS is a number. Blank lines are left
        out."""
        n_tabs = self._n_tabs
        for line in self._lines:
            columns = line.split(b"\t", 8)
            if line.count(b"\t") != n_tabs or not columns[1].isdigit():
                if not line:
                    continue
                self._refuse(line, columns)
            yield line, columns

    def _refuse(self, line, columns):
        found = line.count(b"\t") + 1
        if found != self._n_tabs + 1:
            hint = " (columns must be parted by tabs)" if found == 1 else ""
            raise InputError(f"{self.path}, line {self._number}: {found} columns, and the header has "
                             f"{self._n_tabs + 1}{hint}: {_shown(line)}")
        raise InputError(f"{self.path}, line {self._number}: POS must be a whole number, not {_shown(columns[1])}")

    def _numbered(self):
        try:
            for number, line in enumerate(self._raw(), 1):
                self._number = number
                line = line.rstrip(b"\n")
                if line.endswith(b"\r"):
                    self.carriage_returns, line = True, line[:-1]
                yield line
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InputError(f"{self.path}: cut off or damaged after line {self._number} "
                             f"({one_line(error)})") from error

    def _raw(self):
        with open(self.path, "rb", buffering=READ_BYTES) as file:
            start = file.peek(14)
            if start.startswith(GZIP):
                with gzip.open(file) as unpacked:
                    if unpacked.peek(len(BCF)).startswith(BCF):
                        yield from self._bcf()
                    else:
                        yield from unpacked
                if start[12:14] == BGZF and file.seekable():
                    self._check_end(file)
            elif start.startswith(BCF):
                yield from self._bcf()
            else:
                yield from file

    def _check_end(self, file):
        """A BGZF file that was cut off between two blocks lacks the empty one at its end."""
        file.seek(-len(LAST_BLOCK), os.SEEK_END)
        if file.read() != LAST_BLOCK:
            raise InputError(f"{self.path}: cut off after line {self._number}: it lacks the block that ends a "
                             "BGZF file")

    def _bcf(self):
        before = pysam.set_verbosity(0)
        try:
            with pysam.VariantFile(self.path) as file:
                yield from str(file.header).encode().splitlines()
                for record in file:
                    yield str(record).encode()
        except (OSError, ValueError) as error:
            raise InputError(f"{self.path}: not a BCF file that can be read to its end ({one_line(error)})") from error
        finally:
            pysam.set_verbosity(before)


def _shown(text):
    return repr(text[:80].decode("utf-8", "replace"))
