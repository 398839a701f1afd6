"""Entry points, exit codes and what is printed when something goes wrong."""

import argparse
import gc
import logging
import os
import signal
import sys
import traceback

from ..errors import DiskFull, InputError, Stopped, is_disk_full, printable
from . import completion, config, streams
from .parser import check_together, make_parser

log = logging.getLogger(__name__)


class Terminated(KeyboardInterrupt):
    """SIGTERM, as batch systems send it."""


def main(argv, prog="kipoi-deepmr"):
    """Run one command.

    Parameters
    ----------
    argv : list of str
        Without the program's name.
    prog : str
        As the user called us, for the usage message.

    Returns
    -------
    int
        The exit code, as `--help` explains it.
    """
    arguments = argparse.Namespace(debug=False)
    signal.signal(signal.SIGTERM, _terminate)
    has_output = streams.prepare()
    try:
        parser = make_parser(prog)
        if not argv:
            parser.print_help()
            return 0
        arguments = config.parse(parser, argv)
        if not has_output and streams.stream_of_messages(arguments) is sys.stderr:
            raise InputError(f"-o {arguments.output}: standard output is closed")
        with streams.logging_to_stderr(prog, arguments.verbose), streams.without_warnings(arguments.verbose):
            log.info("options: %s", {name: value for name, value in vars(arguments).items() if value is not None})
            if arguments.command == "completion":
                print(completion.completion_script(prog, arguments.shell))
                return 0
            for note in check_together(arguments):
                log.warning("%s", note)
            # Here, since numpy and xarray take seconds that `--help` and a shell that starts need not.
            from ..output.tables import safe_cells
            from ..pipeline.progress import working
            from . import commands

            with streams.own_standard_output(arguments), safe_cells(getattr(arguments, "safe_tables", False)), \
                    working(arguments.command, arguments.quiet or streams.prints_on_terminal(arguments)):
                return getattr(commands, arguments.command)(arguments, [prog, *argv]) or 0
    except InputError as error:
        _complain(f"{prog}: error: {error}")
        return error.exit_code
    except BrokenPipeError:
        _silence_standard_output()
        return 128 + signal.SIGPIPE
    except OSError as error:
        where = error.filename or ("standard output" if is_disk_full(error) else "input or output")
        _complain(f"{prog}: error: {where}: {error.strerror or error}")
        if not is_disk_full(error):
            return InputError.exit_code
        _silence_standard_output()
        return DiskFull.exit_code
    except KeyboardInterrupt as error:
        _complain(f"{prog}: interrupted{f'; {error}' if str(error) else ''}")
        gc.freeze()  # Python looks for cycles once more as it ends, for seconds on a busy machine
        return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    except MemoryError as error:
        why = f" ({error})" if str(error) else ""
        _complain(f"{prog}: error: the memory is used up{why}; what was finished is kept. Take fewer marks or pairs "
                  "(--marks, --exposures, --outcomes), fewer loci, or a machine with more memory")
        return Stopped.exit_code
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        _complain(f"{prog}: internal error: {type(error).__name__}: {error} (--debug shows where; please report it)")
        return 1


def _complain(text):
    print(printable(text), file=sys.stderr)


def _silence_standard_output():
    """Python's last flush would complain of what could not be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _terminate(number, frame):
    raise Terminated


def console_main():
    """The `kipoi-deepmr` command."""
    sys.exit(main(sys.argv[1:]))
