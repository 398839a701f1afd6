"""Entry points, exit codes and what is printed when something goes wrong.

Exit codes: 0 done; 2 something given is wrong (one message, nothing half-written); 1 anything else; 130 interrupted.
"""

import sys
import traceback

from ..errors import InputError
from .parser import make_parser


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
    try:
        # Here, since numpy and xarray take seconds that `--help` need not.
        from . import commands

        getattr(commands, arguments.command)(arguments, [prog, *argv])
        return 0
    except InputError as error:
        print(f"{prog}: error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        print(f"{prog}: error: {error.filename or 'input or output'}: {error.strerror or error}", file=sys.stderr)
        return InputError.exit_code
    except KeyboardInterrupt:
        print(f"\n{prog}: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if arguments.debug:
            traceback.print_exc()
        print(f"{prog}: internal error: {type(error).__name__}: {error} (--debug shows where; please report it)",
              file=sys.stderr)
        return 1


def console_main():
    """The `kipoi-deepmr` command."""
    sys.exit(main(sys.argv[1:]))
