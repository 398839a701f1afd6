"""What a process keeps although a model's own code runs in it: its folder, its handlers of signals, its one copy."""

import os
import signal
import threading
from contextlib import contextmanager

KEPT = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def kept_surroundings():
    """Put back the working directory and the handlers of Ctrl-C and SIGTERM afterwards.

    A copy of the process that the code within has forked, and that came back from it, ends here: what follows is for
    the process itself.
    """
    process, folder, handlers = os.getpid(), _folder(), _handlers()
    try:
        yield
    finally:
        if os.getpid() != process:
            os._exit(0)
        if folder is not None and _folder() != folder:
            os.chdir(folder)
        for number, handler in handlers.items():
            if signal.getsignal(number) is not handler and handler is not None:
                signal.signal(number, handler)


def _folder():
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _handlers():
    """Handlers by signal; only the main thread may set them."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    return {number: signal.getsignal(number) for number in KEPT}
