"""A second process beside a worker, which ends it when its driver is gone."""

import os
import select
import signal

MILLISECONDS = 1000  # after which the guard looks whether the worker is still there


def start(lifeline, replies):
    """Start a process that kills this one's group when the driver, or this process, is gone.

    A thread cannot do it, since a call of C code may hold the interpreter; nor can the signal that Linux sends at a
    parent's death, which would end this process alone, and also when only a thread of the driver has ended. To be
    called before this process has threads, in a process that leads its group.

    Parameters
    ----------
    lifeline : file
        A pipe to which the driver alone holds the other end.
    replies : file
        A pipe of which the driver must see the end when this process ends, as it must of standard output and error.
    """
    worker = os.getpid()
    if os.fork():
        return
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (replies.fileno(), 1, 2):
        os.dup2(nothing, stream)
    poll = select.poll()
    poll.register(lifeline, 0)
    while not poll.poll(MILLISECONDS) and os.getppid() == worker:
        pass
    os.killpg(worker, signal.SIGKILL)
