"""Adds one step to the build: kipoi_deepmr.pth goes to the root of site-packages (everything else is in setup.cfg)."""

import os

from setuptools import Command, setup
from setuptools.command.build import build

PTH = "kipoi_deepmr.pth"


class build_pth(Command):
    """Copy kipoi_deepmr.pth beside the packages.

    A build sub-command of its own, because setuptools turns an error in a customised build_py
    into a warning during editable installs, and Kipoi would then silently not list the plugin.
    """

    description = f"copy {PTH} to the root of the installation"
    user_options = []

    def initialize_options(self):
        self.build_lib = None
        self.editable_mode = False

    def finalize_options(self):
        self.set_undefined_options("build", ("build_lib", "build_lib"))

    def run(self):
        # an editable wheel leaves out build_lib: what must be a file in site-packages goes to install_lib
        root = self.get_finalized_command("install").install_lib if self.editable_mode else self.build_lib
        self.mkpath(root)
        self.copy_file(PTH, os.path.join(root, PTH), preserve_mode=False)

    def get_source_files(self):
        return [PTH]

    def get_outputs(self):
        return [] if self.editable_mode else [os.path.join(self.build_lib, PTH)]

    def get_output_mapping(self):
        return {}


class build_with_pth(build):
    sub_commands = [*build.sub_commands, (build_pth.__name__, None)]


setup(cmdclass={"build": build_with_pth, "build_pth": build_pth})
