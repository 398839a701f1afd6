"""The command line: arguments in, one pipeline function a subcommand, a summary out."""

from .main import console_main, main

__all__ = ["console_main", "main"]
