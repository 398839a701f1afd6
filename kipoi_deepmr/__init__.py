"""Deep Mendelian Randomization on the models of the Kipoi zoo.

Kipoi imports this package at the start of every `kipoi` command: nothing here may be slow or fail.
"""

import sys
from importlib import import_module

__version__ = "0.1.0"

__all__ = ["Ensemble", "Loci", "__version__", "loci", "meta", "mr", "mutagenesis", "network", "run"]

# Kipoi asks a plugin for parsers of its sections in model.yaml and dataloader.yaml; we have none.
ModelParser = None
DataloaderParser = None

_OBJECTS = {"Ensemble": (".models", "Ensemble"), "Loci": (".loci", "Loci"), "run": (".pipeline.from_python", "run")}


def __getattr__(name):
    if name in _OBJECTS:
        module, own = _OBJECTS[name]
        return getattr(import_module(module, __name__), own)
    if name in __all__:
        return import_module("." + name, __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


def cli_main(command, raw_args):
    """Run `kipoi deepmr ARGUMENTS`: Kipoi calls this with its own name of the plugin and the arguments after it."""
    cli = import_module(".cli", __name__)
    sys.exit(cli.main(raw_args, prog=f"kipoi {command}"))
