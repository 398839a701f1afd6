"""The assembly of a run's genome, as far as the name of its file says it, for links to genome browsers."""

import os
import re

# UCSC's name: other names of the same assembly
ASSEMBLIES = {"hg38": ("grch38",), "hg19": ("grch37", "hs37d5", "b37"), "hs1": ("chm13", "t2t"),
              "mm39": ("grcm39",), "mm10": ("grcm38",), "mm9": (), "rn7": ("mratbn7",), "rn6": ("rnor_6",),
              "dm6": ("bdgp6",), "ce11": ("wbcel235",), "danRer11": ("grcz11",), "sacCer3": ("r64-1-1",)}


def assembly_of(run):
    """UCSC's name of the assembly; empty if the name of the FASTA file says none, or two.

    Parameters
    ----------
    run : FinishedRun

    Returns
    -------
    str
    """
    name = os.path.basename(str(run.told.get("fasta_file") or "")).lower()
    found = [ucsc for ucsc, others in ASSEMBLIES.items()
             if any(re.search(rf"(?<![a-z0-9]){re.escape(word.lower())}(?![0-9])", name) for word in (ucsc, *others))]
    return found[0] if len(found) == 1 else ""
