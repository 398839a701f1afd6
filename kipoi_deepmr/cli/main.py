"""Entry points, exit codes and what is printed when something goes wrong.

Exit codes: 0 done; 2 something given is wrong (one message, nothing half-written); 1 anything else, or `check` finds
models that are not fit; 130 interrupted, 143 told to end (SIGTERM): what was computed is kept.
"""

import signal
import sys
import traceback

from ..errors import InputError
from .parser import make_parser


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
        The exit code.
    """
    parser = make_parser(prog)
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, _terminate)
    try:
        # Here, since numpy and xarray take seconds that `--help` need not.
        from . import commands

        return getattr(commands, arguments.command)(arguments, [prog, *argv]) or 0
    except InputError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{prog}: error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt as error:
        print(f"{prog}: interrupted{f'; {error}' if str(error) else ''}", file=sys.stderr)
        return 128 + (signal.SIGTERM if isinstance(error, Terminated) else signal.SIGINT)
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"{prog}: internal error: {type(error).__name__}: {error} (--debug shows where; please report it)",
              file=sys.stderr)
        return 1


def _terminate(number, frame):
    raise Terminated


def console_main():
    """The `kipoi-deepmr` command."""
    sys.exit(main(sys.argv[1:]))
