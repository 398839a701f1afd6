"""Processes that lead a group of their own: whether they have ended, and their end with all that they have started."""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress

SECONDS = 0.01  # between two looks at a process

_REAPING = threading.Lock()  # no thread may reap a process between another's look at it and its signal


def has_ended(process: subprocess.Popen) -> bool:
    """Whether a process has ended, which stays unreaped: so its number is no other process's until `kill_group`."""
    if process.returncode is not None:
        return True
    if not hasattr(os, "waitid"):  # on old macOS
        return process.poll() is not None
    with suppress(ChildProcessError):
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    return process.poll() is not None


def wait_for_end(process: subprocess.Popen, seconds: float) -> bool:
    """Wait until a process has ended, at most some seconds; returns whether it has."""
    latest = time.monotonic() + seconds
    while not (ended := has_ended(process)) and time.monotonic() < latest:
        time.sleep(SECONDS)
    return ended


def kill_group(process: subprocess.Popen) -> int:
    """Kill a process and all that it has started, and reap it.

    Returns
    -------
    int
        How it ended, as `subprocess` has it.
    """
    with _REAPING:
        # once it is reaped, another process may have its number
        if process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):  # on macOS no zombie can be signalled
                os.killpg(process.pid, signal.SIGKILL)
    while not has_ended(process):
        time.sleep(SECONDS)
    with _REAPING:
        return process.wait()
