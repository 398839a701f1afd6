"""The store of effects: what it holds, written by blocks of loci, opened, checked.

On disk it is a Zarr store of format 2, the one that both zarr 2 (Python 3.10) and zarr 3 read and write.
"""

from .blocks import each_block, locus_blocks, not_predicted, predicted_mutants
from .computed import with_computed
from .local_effects import LocalEffects, LocalWriter, Shape, blocks_of, write_block
from .mutants import StoredMutants
from .reading import check_chunks, ddof_of, open_effects, settings_of
from .record import RECORD, damaged_chunks
from .variables import DECLARED, MAX_LOCI_PER_CHUNK, OF_MUTANTS, OPTIONAL, bytes_on_disk, dataset, loci_per_block
from .writer import (
    PARTIAL_SUFFIX,
    Writer,
    bytes_left_by_an_earlier_run,
    differences,
    is_replaceable,
    reopen,
)

__all__ = ["DECLARED", "LocalEffects", "LocalWriter", "MAX_LOCI_PER_CHUNK", "OF_MUTANTS", "OPTIONAL", "PARTIAL_SUFFIX",
           "RECORD", "Shape", "StoredMutants", "Writer", "blocks_of", "bytes_left_by_an_earlier_run", "bytes_on_disk",
           "check_chunks", "damaged_chunks", "dataset", "ddof_of", "differences", "each_block", "is_replaceable",
           "loci_per_block", "locus_blocks", "not_predicted", "open_effects", "predicted_mutants", "reopen",
           "settings_of", "with_computed", "write_block"]
