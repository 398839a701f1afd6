"""File formats for people: tables, VCF and the record of a run."""
