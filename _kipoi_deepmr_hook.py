"""Lists kipoi_deepmr among Kipoi's plugins in every interpreter that imports Kipoi.

Kipoi 0.8.6, its last version, has its plugins in a hard-coded list (kipoi.plugin.PLUGINS), no entry points, and maps
`kipoi postproc NAME` through a hard-coded dict. So kipoi_deepmr.pth imports this module at interpreter start, and one
finder on sys.meta_path waits: when kipoi.plugin is imported it appends our entry to PLUGINS; when kipoi.__main__ is
looked for on behalf of `kipoi postproc deepmr ...`, it turns the command into `kipoi deepmr ...`, and keeps Kipoi's use
of pkg_resources from warning our users.

It imports nothing but sys and takes 0.2 ms of each start (python -X importtime). KIPOI_DEEPMR_NO_HOOK=1 turns it off;
the `kipoi-deepmr` command works without it.
"""

import sys

ENTRY = {
    "plugin": "kipoi_deepmr",
    "url": "https://github.com/kipoi/kipoi-deepmr",
    "cli": True,
    "description": "Deep Mendelian Randomization: causal effects between the outputs of multi-task models.",
}


def register(plugin_module):
    """Append our entry to PLUGINS of the module kipoi.plugin, unless one is there."""
    plugins = getattr(plugin_module, "PLUGINS", None)
    if isinstance(plugins, list) and not any(known["plugin"] == ENTRY["plugin"] for known in plugins):
        plugins.append(dict(ENTRY))


def rewrite_argv():
    """Turn `postproc deepmr ...` on the command line into `deepmr ...`; keep `deepmr` free of Kipoi's warnings."""
    argv = getattr(sys, "argv", [])  # an embedded interpreter or one still starting has none
    if argv[1:3] == ["postproc", "deepmr"]:
        del argv[1]
    if argv[1:2] == ["deepmr"]:
        import warnings

        warnings.filterwarnings("ignore", "pkg_resources is deprecated")


class RegisteringLoader:
    """Loads kipoi.plugin with its own loader, then registers us; leaves no trace of itself in the module."""

    def __init__(self, loader):
        self._loader = loader

    def __getattr__(self, name):  # create_module, get_code, get_source...
        return getattr(self._loader, name)

    def exec_module(self, module):
        module.__loader__ = module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        register(module)


class KipoiFinder:
    """Finds nothing itself: hands kipoi.plugin on to the finders after it and wraps the loader that they give."""

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "kipoi.__main__":
            rewrite_argv()
        if name != "kipoi.plugin":
            return None
        finders = iter(sys.meta_path)
        any(finder is cls for finder in finders)  # the finders before this one have been asked already
        specs = (finder.find_spec(name, path, target) for finder in finders if hasattr(finder, "find_spec"))
        spec = next(filter(None, specs), None)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = RegisteringLoader(spec.loader)
        return spec


if not any(getattr(finder, "__name__", None) == "KipoiFinder" for finder in sys.meta_path):
    sys.meta_path.insert(0, KipoiFinder)
    if "kipoi.plugin" in sys.modules:
        register(sys.modules["kipoi.plugin"])
