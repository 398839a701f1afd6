"""Predictions on a Dask cluster: the same bytes as in this process, and workers and schedulers that die."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from conftest import LENGTH, Scheduler, member_weights, without_checksums, write_model
from portable_models import write
from processes import is_alive, wait_until
from wide_case import make_store

from kipoi_deepmr import cluster, effects_store, pipeline
from kipoi_deepmr.cli import main
from kipoi_deepmr.cluster import Cluster
from kipoi_deepmr.effects_store import blocks, record
from kipoi_deepmr.errors import ClusterFailed, InputError
from kipoi_deepmr.instruments import answers, moments
from kipoi_deepmr.models import Ensemble

distributed = pytest.importorskip("distributed")

N_LOCI = 150  # three blocks


@pytest.fixture(scope="module")
def two_processes():
    with Cluster("local:2") as running:
        yield running


@pytest.mark.parametrize("n", [1, 3])
def test_as_many_processes_as_are_asked_for(n):
    with Cluster(f"local:{n}") as running:
        assert list(running._client.nthreads().values()) == [1] * n


def test_processes_of_this_machine_answer_nobody_else(two_processes):
    """No port of theirs speaks plain HTTP, as Dask's health pages and dashboard would."""
    driver = psutil.Process()
    ports = {connection.laddr for process in [driver, *driver.children(recursive=True)]
             for connection in process.net_connections() if connection.status == psutil.CONN_LISTEN}
    assert len(ports) >= 5 and {address.ip for address in ports} == {"127.0.0.1"}
    for address in ports:
        with socket.create_connection(address, timeout=20) as asking:
            asking.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            try:
                answer = asking.recv(100)
            except OSError:
                answer = b""
        assert b"HTTP" not in answer and b"ok" not in answer


@pytest.fixture
def loci_files(tmp_path):
    bases = "".join(np.random.default_rng(2).choice(list("ACGT"), N_LOCI * LENGTH))
    (tmp_path / "genome.fa").write_text(f">chr1\n{bases}\n")
    (tmp_path / "loci.bed").write_text("".join(f"chr1\t{i * LENGTH}\t{(i + 1) * LENGTH}\n" for i in range(N_LOCI)))
    return {"intervals_file": str(tmp_path / "loci.bed"), "fasta_file": str(tmp_path / "genome.fa")}


def read_all(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(Path(folder).rglob("*")) if p.is_file()}


def written(models, loci_files, path, running, mutate=None, mutants="single", **more):
    with Ensemble.from_kipoi(models, "dir", **loci_files, **more) as ensemble:
        selection = pipeline.select_loci(ensemble, **loci_files, mutate=mutate, mutants={"mutants": mutants})
        dropped = pipeline.predict(ensemble, selection, str(path), quiet=True, cluster=running)
    return read_all(path), dropped


@pytest.mark.parametrize("mutants", [pytest.param("single", marks=pytest.mark.main_job), "windows:5:2,deletions:3"])
def test_the_same_bytes_as_in_this_process(tmp_path, loci_files, two_processes, mutants):
    """One member fails on sequences that begin with ACG: the loci dropped are the same, too."""
    models = [write_model(tmp_path / str(k), w, nan_start="ACG" if k else "") for k, w in enumerate(member_weights())]
    here, dropped = written(models, loci_files, tmp_path / "here.zarr", None, mutants=mutants)
    there, dropped_there = written(models, loci_files, tmp_path / "there.zarr", two_processes, mutants=mutants)
    assert here == there and dropped == dropped_there and sum(map(len, dropped.values())) > 1
    assert not list(tmp_path.glob("*.lock"))


def test_mutants_of_some_positions_alone(tmp_path, loci_files, two_processes):
    """Other positions in each locus, none in the first."""
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    (tmp_path / "m.bed").write_text("".join(f"chr1\t{start}\t{start + 3}\n" for start in range(LENGTH, 1800, 7)))
    here, there = (written(models, loci_files, tmp_path / name, running, str(tmp_path / "m.bed"))
                   for name, running in (("here.zarr", None), ("there.zarr", two_processes)))
    assert here == there and sum(map(len, here[1].values())) == 1
    effects = effects_store.open_effects(str(tmp_path / "there.zarr"))["effect"].values[..., 0]
    base = LENGTH + np.arange((N_LOCI - 1) * LENGTH).reshape(N_LOCI - 1, LENGTH)
    np.testing.assert_array_equal(np.isfinite(effects), np.repeat((base - LENGTH) % 7 < 3, 3, axis=1))


def without_pythons(files):
    """Files of a store, without the interpreters in the recipe that they hold."""
    name = ".zmetadata"
    told = json.loads(files[name])
    del told["metadata"][".zattrs"]["recipe"]["pythons"]
    return {**files, ".zattrs": None, name: told,
            effects_store.RECORD: without_checksums(files[effects_store.RECORD])}


@pytest.mark.parametrize("pythons", [None, [os.sys.executable] * 2])
def test_models_that_need_their_dataloader_and_models_in_their_own_python(tmp_path, loci_files, two_processes, pythons):
    models = [write(tmp_path / str(k), k, has_side=True) for k in range(2)]
    here, _ = written(models, loci_files, tmp_path / "here.zarr", None)
    there, _ = written(models, loci_files, tmp_path / "there.zarr", two_processes, pythons=pythons)
    assert without_pythons(here) == without_pythons(there)


def test_models_are_loaded_once_a_worker(tmp_path, loci_files, two_processes):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    for model in models:
        path = Path(model) / "model.py"
        path.write_text(path.read_text().replace("        self.weights =", f"        open({str(tmp_path / 'loads')!r}, "
                                                 "'a').write('x')\n        self.weights ="))
    (tmp_path / "loads").write_text("")
    written(models, loci_files, tmp_path / "there.zarr", two_processes)
    assert len((tmp_path / "loads").read_text()) in (4, 6), "two models here, and in one or both workers"


KILLER = '''
        if os.path.exists({flag!r}) and x.shape[0] and os.getpid() != {driver}:
            {first}
            os.kill(os.getpid(), 9)
'''


def deadly(tmp_path, first):
    """Models that kill the process which asks them, unless it is this one, as long as the file `flag` exists."""
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    path = Path(models[0]) / "model.py"
    code = KILLER.format(flag=str(tmp_path / "flag"), driver=os.getpid(), first=first.format(str(tmp_path / "flag")))
    path.write_text("import os\n" + path.read_text().replace("        predicted =", code + "        predicted ="))
    return models


def test_a_worker_killed_in_mid_block(tmp_path, loci_files, two_processes):
    """The file is there for the first worker only, which removes it and dies while it predicts."""
    models = deadly(tmp_path, "os.remove({!r})")
    here, _ = written(models, loci_files, tmp_path / "here.zarr", None)
    Ensemble.from_kipoi(models, "dir")
    (tmp_path / "flag").write_text("")
    there, _ = written(models, loci_files, tmp_path / "there.zarr", two_processes)
    assert not (tmp_path / "flag").exists() and here == there


def test_workers_that_always_die_stop_the_run_and_what_was_done_is_kept(tmp_path, loci_files, two_processes):
    models = deadly(tmp_path, "pass")
    here, _ = written(models, loci_files, tmp_path / "here.zarr", None)
    (tmp_path / "flag").write_text("")
    with pytest.raises(ClusterFailed, match="died(?s:.)*of 150 loci are kept"):
        written(models, loci_files, tmp_path / "there.zarr", two_processes)
    (tmp_path / "flag").unlink()
    assert written(models, loci_files, tmp_path / "there.zarr", two_processes)[0] == here


def test_processes_that_cannot_be_started_again_are_not_waited_for(tmp_path, loci_files, monkeypatch):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    with cluster.Cluster("local:1") as running:
        running._processes.scale(0)
        monkeypatch.setattr(cluster, "ALONE_SECONDS", 1)
        with pytest.raises(ClusterFailed, match="all processes of --dask local:N died"):
            written(models, loci_files, tmp_path / "there.zarr", running)


DRIVER = """
import json, sys
from kipoi_deepmr import cluster, pipeline
from kipoi_deepmr.models import Ensemble

if __name__ == "__main__":
    models, files = json.loads(sys.argv[1])
    ensemble = Ensemble.from_kipoi(models, "dir", **files)
    selection = pipeline.select_loci(ensemble, **files)
    with cluster.Cluster("local:1") as running:
        pipeline.predict(ensemble, selection, sys.argv[2], quiet=True, cluster=running)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's signal at a parent's death")
def test_a_killed_driver_leaves_no_worker_even_in_a_call_that_holds_the_interpreter(tmp_path, loci_files):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    (tmp_path / "driver.py").write_text(DRIVER)
    path, pid = Path(models[0]) / "model.py", tmp_path / "pid"
    hangs = (f"        if len(x) > 64:\n            open({str(pid)!r}, 'w').write(str(os.getpid()))\n"
             "            ctypes.PyDLL(None).sleep(1000)\n        predicted =")
    path.write_text("import ctypes\nimport os\n" + path.read_text().replace("        predicted =", hangs))
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), json.dumps([models, loci_files]),
                               str(tmp_path / "e.zarr")], start_new_session=True)
    try:
        assert wait_until(lambda: pid.exists() and pid.read_text(), 120)
        time.sleep(1)
        assert is_alive(int(pid.read_text()))
    finally:
        driver.kill()
        driver.wait()
    assert wait_until(lambda: not is_alive(int(pid.read_text())), 20)


def test_an_error_of_the_model_is_what_it_is_in_this_process(tmp_path, loci_files, two_processes):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    path = Path(models[0]) / "model.py"
    path.write_text(path.read_text().replace("        if self.nan_start", "        if len(x) > 64:\n"
                                             "            raise ValueError('no more')\n        if self.nan_start"))
    with pytest.raises(InputError, match="failed to predict [0-9]+ sequences: ValueError: no more"):
        written(models, loci_files, tmp_path / "there.zarr", two_processes)
    assert not (tmp_path / "there.zarr.partial").exists()


def test_a_worker_that_finds_other_models(tmp_path, loci_files, two_processes):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    with Ensemble.from_kipoi(models, "dir") as ensemble:
        selection = pipeline.select_loci(ensemble, **loci_files)
        np.save(Path(models[0]) / "weights.npy", member_weights(3)[2])
        with pytest.raises(InputError, match="finds other models than this process"):
            pipeline.predict(ensemble, selection, str(tmp_path / "e.zarr"), quiet=True, cluster=two_processes)


@pytest.fixture
def scheduler(tmp_path):
    running = Scheduler(tmp_path)
    running.add_worker()
    yield running
    running.close()


def test_a_scheduler_that_dies(tmp_path, loci_files, scheduler, monkeypatch):
    """The client tries to come back for as long as Dask's setting says: 30 s by default."""
    monkeypatch.setitem(distributed.config["distributed"]["comm"]["timeouts"], "connect", "2s")
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    here, _ = written(models, loci_files, tmp_path / "here.zarr", None)
    slow = Path(models[0]) / "model.py"
    slow.write_text("import time, os\n" + slow.read_text().replace(
        "        predicted =", f"        time.sleep(0.05 * (os.getpid() != {os.getpid()}))\n        predicted ="))
    with Cluster(scheduler_file=str(scheduler.file)) as running:
        with Ensemble.from_kipoi(models, "dir") as ensemble:
            selection = pipeline.select_loci(ensemble, **loci_files)
            record = tmp_path / "there.zarr.partial" / effects_store.RECORD
            threading.Thread(target=kill_after_a_block, args=(record, scheduler)).start()
            with pytest.raises(ClusterFailed, match="scheduler is gone(?s:.)*64 of 150 loci are kept"):
                pipeline.predict(ensemble, selection, str(tmp_path / "there.zarr"), quiet=True, cluster=running)
            pipeline.predict(ensemble, selection, str(tmp_path / "there.zarr"), quiet=True)
    differing = [name for name, content in read_all(tmp_path / "there.zarr").items() if content != here[name]]
    assert differing == [".zattrs", ".zmetadata", effects_store.RECORD], "which hold the models' checksums, or theirs"


def test_a_scheduler_that_dies_while_loci_are_estimated(store, scheduler, monkeypatch):
    monkeypatch.setitem(distributed.config["distributed"]["comm"]["timeouts"], "connect", "2s")
    effects = effects_store.open_effects(str(store))
    with Cluster(scheduler_file=str(scheduler.file)) as running:
        of_blocks = running.map_blocks(str(store), partial(moments._of_block, groups=[slice(None)]), effects)
        assert next(of_blocks)[0]
        scheduler.kill()
        with pytest.raises(ClusterFailed, match="scheduler is gone.*the effects are kept: the same command estimates"):
            list(of_blocks)


def test_a_scheduler_that_does_not_answer_any_more(store, scheduler, monkeypatch):
    """It is gone between two questions, so that the next finds nobody to connect to."""
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 2)
    with Cluster(scheduler_file=str(scheduler.file)) as running:
        scheduler.kill()
        for ask in (running.sees, lambda path: next(running.map_blocks(path, len, effects_store.open_effects(path)))):
            with pytest.raises(ClusterFailed, match="scheduler is gone"):
                ask(str(store))


def kill_after_a_block(record, scheduler):
    while not (record.exists() and len(record.read_text().splitlines()) > 1):
        time.sleep(0.02)
    scheduler.kill()


@pytest.fixture
def named_models(tmp_path):
    """Models that write the name of the Dask worker which asks them."""
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    path = Path(models[0]) / "model.py"
    path.write_text("import os\n" + path.read_text().replace(
        "        predicted =", f"        open({str(tmp_path / 'asked')!r}, 'a').write(f'{{os.getpid()}} ')\n"
                               "        predicted ="))
    return models


def test_blocks_go_to_workers_that_declare_a_resource(tmp_path, loci_files, scheduler, named_models, caplog):
    """One worker has none; the one that has a GPU comes when the run already waits."""
    given = [*named_models, "--source", "dir", "--intervals_file", loci_files["intervals_file"], "--fasta_file",
             loci_files["fasta_file"], "-q", "-o", str(tmp_path / "e.zarr")]
    workers = []

    def come_late():
        while "waiting for one" not in caplog.text:
            time.sleep(0.05)
        (tmp_path / "asked").write_text("")
        workers.append(scheduler.add_worker("--resources", "GPU=1", "--no-nanny"))

    coming = threading.Thread(target=come_late, daemon=True)
    coming.start()
    assert main(["predict", *given, "--dask_scheduler_file", str(scheduler.file), "--dask_resources", "GPU=1"]) == 0
    coming.join()
    assert "no worker of the cluster declares GPU=1 (dask worker --resources); waiting for one" in caplog.text
    assert {int(pid) for pid in (tmp_path / "asked").read_text().split()} == {workers[0].pid}


ESTIMATE = ["--method", "egger,ivw,median_weighted", "--uncertainty", "combined", "--se_shrinkage", "moderated",
            "--instrument_z", "1.5", "-q"]


@pytest.fixture
def store(tmp_path, loci_files, monkeypatch):
    """Effects of 150 loci, which are estimated in blocks of 20."""
    models = [write_model(tmp_path / str(k), w, nan_start="ACG" if k else "") for k, w in enumerate(member_weights())]
    written(models, loci_files, tmp_path / "e.zarr", None)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 20 * 8 * 3 * LENGTH * 3)
    return tmp_path / "e.zarr"


def test_estimates_are_the_same_bytes(tmp_path, loci_files, store):
    given = ["estimate", str(store), *ESTIMATE, "--steiger", "--fasta_file", loci_files["fasta_file"], "-o"]
    for folder, options in (("here", []), ("there", ["--dask", "local:2"])):
        (tmp_path / folder).mkdir()
        assert main([*given, str(tmp_path / folder / "local.tsv"), *options]) == 0
    here, there = read_all(tmp_path / "here"), read_all(tmp_path / "there")
    assert here == there and set(here) == {"local.tsv", "local.diagnostics.tsv", "local.diagnostics_by_pair.tsv",
                                           "local.vcf.gz", "local.vcf.gz.tbi"}


def test_a_run_estimates_on_the_cluster(tmp_path, loci_files, two_processes, monkeypatch):
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    mapped = []
    monkeypatch.setattr(Cluster, "map_blocks", lambda *given: mapped.append(given) or MAP_BLOCKS(*given))
    found = []
    for running in (None, two_processes):
        with Ensemble.from_kipoi(models, "dir", **loci_files) as ensemble:
            selection = pipeline.select_loci(ensemble, **loci_files)
            out = tmp_path / f"OUT{len(found)}"
            pipeline.run(ensemble, selection, str(out), details={"fasta_file": loci_files["fasta_file"]}, quiet=True,
                         cluster=running, report=False)
        found.append({name: content for name, content in read_all(out).items() if name.endswith((".tsv", ".gz"))})
    assert found[0] == found[1] and len(found[0]) == 5
    assert len(mapped) == 4, "moments, strong mutants, fits and diagnostics"


def test_local_effects_as_an_array_are_the_same_bytes(tmp_path, two_processes, monkeypatch):
    """By the rule direct in five blocks, all of them made or two there already; a worker keeps what it says once."""
    store = make_store(tmp_path, n_marks=7, n_loci=10, length=8)
    monkeypatch.setattr(effects_store.local_effects, "BLOCK_PAIRS", 2 * 49)
    made, parts = {}, []
    monkeypatch.setattr(Cluster, "map_blocks", lambda *given: parts.append(given[4:]) or MAP_BLOCKS(*given))
    for name in ("here", "there", "resumed"):
        folder = tmp_path / name
        folder.mkdir()
        array = folder / "local.estimates.zarr"
        if name == "resumed":
            shutil.copytree(tmp_path / "here" / array.name, f"{array}.partial")
            record.write(f"{array}.partial", record.read(f"{array}.partial")[0][:3])
            parts.clear()
        pipeline.estimate(store, str(folder / "local.tsv"), method="ivw", tables="effects",
                          cluster=two_processes if name != "here" else None)
        made[name] = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if name != "here":
            kept = two_processes._client.run(lambda: answers._marks_in_worker.cache_info().currsize)
            assert set(kept.values()) == {1}
    assert made["here"] == made["there"] == made["resumed"]
    assert {"local.vcf.gz", "local.diagnostics.tsv"} < set(made["here"])
    assert ([slice(4, 6), slice(6, 8), slice(8, 10)],) in parts
    assert made["here"]["local.tsv"].count(b"\n") > 10 and any("se/" in path for path in made["here"])


MAP_BLOCKS = Cluster.map_blocks


def test_workers_start_no_more_threads_than_they_have(store, two_processes):
    """One each in a block that is estimated, whatever the machine has; the threads that run, not a setting."""
    def threads_of_pools(effects, block):
        import os

        from kipoi_deepmr import threads

        threads.cpu_count = lambda: 12
        os.environ.pop("OMP_NUM_THREADS", None)

        def ident(_):
            import threading
            import time

            time.sleep(0.01)
            return threading.get_ident()

        return len(set(threads.mapped(ident, range(20))))

    effects = effects_store.open_effects(str(store))
    assert set(two_processes.map_blocks(str(store), threads_of_pools, effects)) == {1}
    if "TF_NUM_INTRAOP_THREADS" not in os.environ:
        found = two_processes._client.run(lambda: os.environ["TF_NUM_INTRAOP_THREADS"])
        assert set(found.values()) == {"1"}


def test_a_worker_that_does_not_find_the_store(tmp_path, store, two_processes, monkeypatch):
    """Another store takes its place while loci are estimated."""
    effects = effects_store.open_effects(str(store))
    blocks = two_processes.map_blocks(str(store), first_of_block, effects)
    assert next(blocks) == 0 and two_processes.sees(str(store))
    while any(two_processes._client.processing().values()):  # a block that is being read meanwhile finds damage
        time.sleep(0.01)
    content = (store / ".zmetadata").read_text()
    (store / ".zmetadata").write_text(content + " ")
    with pytest.raises(InputError, match="a worker of the cluster .* does not find at .*e.zarr the store"):
        list(blocks)
    (store / ".zmetadata").write_text(content)
    next(store.glob("effect/2.*")).write_bytes(b"damaged")
    with pytest.raises(InputError, match="effect/2.0.0: damaged since it was written"):
        list(two_processes.map_blocks(str(store), first_of_block, effects))


def first_of_block(effects, block):
    return block.start


@pytest.mark.parametrize("options, said", [
    (["--dask", "local:0"], "local:N needs a number of processes"),
    (["--dask", "nowhere"], "no scheduler answers"),
    (["--dask_scheduler_file", "none.json"], "none.json: no such file"),
    (["--dask_tls_config", "none.yaml"], "goes with --dask"),
    (["--dask", "local:1", "--dask_tls_config", "none.yaml"], "--dask_tls_config goes with --dask ADDRESS"),
    (["--dask_resources", "GPU=1"], "--dask_resources goes with --dask"),
    (["--dask", "local:1", "--dask_resources", "GPU=1"], "--dask_resources goes with --dask ADDRESS"),
    (["--dask", "tls://nowhere:1", "--dask_tls_config", "none.yaml"], "none.yaml: No such file"),
    (["--dask", "tls://nowhere:1", "--dask_tls_config", "empty.yaml"], "distributed.comm.tls"),
    (["--dask", "tls://nowhere:1", "--dask_tls_config", "files.yaml"], "nothing.pem: no such file"),
])
def test_clusters_that_cannot_be_used(tmp_path, loci_files, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "ALONE_SECONDS", 1)
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "files.yaml").write_text(json.dumps({"distributed": {"comm": {"tls": {
        "ca-file": "nothing.pem", "client": {"cert": "nothing.pem", "key": "nothing.pem"}}}}}))
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    assert main(["predict", *models, "--source", "dir", "--intervals_file", loci_files["intervals_file"],
                 "--fasta_file", loci_files["fasta_file"], "-o", "e.zarr", *options]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1 and not (tmp_path / "e.zarr").exists()


@pytest.fixture
def secured(tmp_path):
    """A cluster that talks TLS only, and the configuration file of those who may."""
    security = distributed.Security.temporary()
    names = {"ca.pem": security.tls_ca_file, "cert.pem": security.tls_client_cert, "key.pem": security.tls_client_key}
    for name, content in names.items():
        (tmp_path / name).write_text(content)
    ca, cert, key = (str(tmp_path / name) for name in names)
    (tmp_path / "dask.yaml").write_text(json.dumps({"distributed": {"comm": {"tls": {
        "ca-file": ca, "client": {"cert": cert, "key": key}}}}}))
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, protocol="tls://",
                                  dashboard_address="127.0.0.1:0", security=security) as running:
        yield running.scheduler_address, str(tmp_path / "dask.yaml")


def test_certificates(tmp_path, loci_files, secured, capfd):
    address, config = secured
    models = [write_model(tmp_path / str(k), w) for k, w in enumerate(member_weights(2))]
    command = ["predict", *models, "--source", "dir", "--intervals_file", loci_files["intervals_file"], "--fasta_file",
               loci_files["fasta_file"], "-q", "-o", str(tmp_path / "e.zarr"), "--dask", address]
    assert main(command) == 2 and "no scheduler answers" in capfd.readouterr().err
    assert main([*command, "--dask_tls_config", config]) == 0
    assert effects_store.open_effects(str(tmp_path / "e.zarr")).sizes["locus"] == N_LOCI
