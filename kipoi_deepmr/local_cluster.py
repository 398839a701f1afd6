"""Processes of this machine as a Dask cluster, which none but this process can talk to."""

import ctypes
import logging
import os
import signal
import sys

from distributed import Nanny, Scheduler, SpecCluster, Worker, WorkerPlugin
from distributed.http.routing import RoutingApplication
from distributed.security import Security

from .models.worker import THREAD_VARIABLES

HOST, PROTOCOL = "127.0.0.1", "tls://"
PR_SET_PDEATHSIG = 1  # of Linux's prctl: the signal that a process gets when the thread that started it ends


def _without_http(node, routes, *arguments, **options):
    """In place of Dask's `start_http_server`, which lets every user of the machine look in, without TLS."""
    node.http_application = RoutingApplication(routes)  # which listens nowhere; Dask closes its handlers at the end


class PrivateScheduler(Scheduler):
    """A scheduler that speaks TLS and nothing else."""

    start_http_server = _without_http


class PrivateWorker(Worker):
    """A worker that speaks TLS and nothing else."""

    start_http_server = _without_http


class PrivateNanny(Nanny):
    """Starts a `PrivateWorker`, again when it dies."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, worker_class=PrivateWorker, **options)


class EndsWithDriver(WorkerPlugin):
    """Lets Linux kill a worker of this machine when this process dies, whatever the worker is doing.

    Dask's own worker notices by a thread, which waits while a call of C code holds the interpreter.
    """

    name = "kipoi_deepmr_ends_with_driver"

    def setup(self, worker):
        """In the worker's process."""
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def start(n_workers: int) -> SpecCluster:
    """A scheduler in this process and workers of one thread in processes of their own, with certificates for them."""
    security = Security.temporary()
    common = {"host": HOST, "protocol": PROTOCOL, "security": security, "dashboard": False}
    one_each = {name: "1" for name in THREAD_VARIABLES if name not in os.environ}
    worker = {"cls": PrivateNanny,
              "options": {**common, "nthreads": 1, "env": one_each, "silence_logs": logging.WARNING}}
    return SpecCluster(workers=dict.fromkeys(range(n_workers), worker), security=security,
                       scheduler={"cls": PrivateScheduler, "options": common}, silence_logs=logging.WARNING)
