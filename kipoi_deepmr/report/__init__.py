"""The report: one HTML page of a run, with its data and its charts inside."""

from .write import write_report

__all__ = ["write_report"]
