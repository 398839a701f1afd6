"""Files that appear whole and together or not at all, whatever stands at their names; and locks."""

import os
import stat
import subprocess
import sys
import threading

import pytest

from kipoi_deepmr import files
from kipoi_deepmr.errors import DiskFull, InputError


def write(path, text):
    with files.replacing(str(path)) as temporary, open(temporary, "w") as out:
        out.write(text)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "a").write_text("old")
    with pytest.raises(RuntimeError), files.replacing(str(tmp_path / "a")) as temporary:
        with open(temporary, "w") as out:
            out.write("half")
        assert (tmp_path / "a").read_text() == "old"
        raise RuntimeError
    assert (tmp_path / "a").read_text() == "old" and names(tmp_path) == ["a"]
    write(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "new" and names(tmp_path) == ["a"]


def test_names_that_a_user_could_have_chosen_are_left_alone(tmp_path):
    taken = ["a.tmp", "a.partial", "a.lock", ".a.tmp", "a~"]
    for name in taken:
        (tmp_path / name).write_text(name)
    with files.locked(str(tmp_path / "a")):
        write(tmp_path / "a", "new")
        files.remove_leftovers(str(tmp_path / "a"))
    assert names(tmp_path) == sorted(["a", *taken])
    assert all((tmp_path / name).read_text() == name for name in taken)


def test_the_temporary_file_lies_beside_the_target_where_nobody_else_can_reach_it(tmp_path):
    seen = set()
    for _ in range(20):
        with files.replacing(str(tmp_path / "a")) as temporary:
            open(temporary, "w").close()
            folder = os.path.dirname(temporary)
            assert os.path.dirname(folder) == str(tmp_path) and stat.S_IMODE(os.stat(folder).st_mode) == 0o700
            seen.add(folder)
    assert len(seen) == 20


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_permissions_are_those_of_the_umask_or_of_the_file_that_is_replaced(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "a", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o666 & ~umask
    os.chmod(tmp_path / "a", 0o640)
    write(tmp_path / "a", "newer")
    assert stat.S_IMODE(os.stat(tmp_path / "a").st_mode) == 0o640


@pytest.mark.parametrize("relative", [False, True])
def test_the_target_of_a_link_is_replaced_not_the_link(tmp_path, relative):
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "real"
    target.write_text("old")
    os.symlink("elsewhere/real" if relative else target, tmp_path / "link")
    os.symlink("link", tmp_path / "link_to_link")
    write(tmp_path / "link_to_link", "new")
    assert target.read_text() == "new" and names(tmp_path) == ["elsewhere", "link", "link_to_link"]
    assert os.path.islink(tmp_path / "link") and os.path.islink(tmp_path / "link_to_link")


def test_a_link_to_nothing_gets_its_target(tmp_path):
    os.symlink("real", tmp_path / "link")
    write(tmp_path / "link", "new")
    assert (tmp_path / "real").read_text() == "new" and os.path.islink(tmp_path / "link")


def test_a_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="it is a folder"):
        write(tmp_path, "x")
    assert not names(tmp_path)


def read_in_thread(path):
    content = []
    thread = threading.Thread(target=lambda: content.append(open(path).read()), daemon=True)
    thread.start()
    return thread, content


def test_a_pipe_is_written_through(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    os.symlink("fifo", tmp_path / "link")
    for name in ("fifo", "link"):
        thread, content = read_in_thread(tmp_path / "fifo")
        write(tmp_path / name, "through")
        thread.join(10)
        assert content == ["through"] and stat.S_ISFIFO(os.stat(tmp_path / "fifo").st_mode)
    assert names(tmp_path) == ["fifo", "link"]


def test_a_failure_sends_nothing_through_a_pipe(tmp_path):
    """A reader that waits is not started with half a table: the pipe is not even opened."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RuntimeError), files.replacing(str(tmp_path / "fifo")):
        raise RuntimeError
    assert names(tmp_path) == ["fifo"]


def test_an_open_file_of_ours_is_written_through(tmp_path):
    """What a shell makes of `>(...)`."""
    reading, writing = os.pipe()
    for name in (f"/dev/fd/{writing}", f"/proc/self/fd/{writing}"):
        assert files.is_stream(name) and files.open_file_of(name) == writing
        write(name, "through")
        assert os.read(reading, 100) == b"through"
    os.close(writing)
    os.close(reading)


@pytest.mark.parametrize("name, number", [("-", 1), ("/dev/stdout", 1), ("/dev/stderr", 2), ("/proc/self/fd/1", 1),
                                          ("x.tsv", None), ("./-", None), ("/dev/fd", None)])
def test_names_of_open_files(name, number):
    assert files.open_file_of(name) == number


def test_several_files_appear_together_indexes_last(tmp_path, monkeypatch):
    order, replace = [], os.replace

    def noted(source, target):
        order.append(os.path.basename(target))
        assert order[-1] == "v.gz.tbi" or not (tmp_path / "v.gz.tbi").exists()
        replace(source, target)

    monkeypatch.setattr(os, "replace", noted)
    for name in ("v.gz", "v.gz.tbi", "stale"):
        (tmp_path / name).write_text("old")
    with files.together([str(tmp_path / "stale")]) as beside:
        for name in ("v.gz.tbi", "t.tsv", "v.gz"):
            with open(beside(str(tmp_path / name)), "w") as out:
                out.write("new")
        assert [name for name in names(tmp_path) if name[0] != "."] == ["stale", "v.gz", "v.gz.tbi"]
        assert (tmp_path / "v.gz").read_text() == "old"
    assert order == ["t.tsv", "v.gz", "v.gz.tbi"] and names(tmp_path) == ["t.tsv", "v.gz", "v.gz.tbi"]
    assert all((tmp_path / name).read_text() == "new" for name in order)


def test_a_lock_is_held_by_one(tmp_path):
    path = str(tmp_path / "e.zarr")
    os.symlink("e.zarr", tmp_path / "link")
    with files.locked(path):
        for other in (path, str(tmp_path / "link"), os.path.relpath(path)):
            with pytest.raises(InputError, match="another command is writing there"), files.locked(other):
                pass
    with files.locked(path):
        pass
    assert names(tmp_path) == ["link"]


def test_a_lock_follows_no_link(tmp_path):
    (tmp_path / "victim").write_text("precious")
    os.symlink("victim", files.lock_of(str(tmp_path / "a")))
    with pytest.raises(InputError, match="cannot be written"), files.locked(str(tmp_path / "a")):
        pass
    assert (tmp_path / "victim").read_text() == "precious"


def test_leftovers_of_a_killed_process_are_removed_by_the_next(tmp_path):
    staged = files.together()
    beside = staged.__enter__()
    other = files.replacing(str(tmp_path / "b"))
    open(other.__enter__(), "w").close()
    open(beside(str(tmp_path / "a[1]")), "w").close()  # never left, as by a process that is killed
    files.remove_leftovers(str(tmp_path / "a[1]"))
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(".b.")
    other.__exit__(None, None, None)


def test_a_full_quota_is_said_to_be_one():
    import errno

    with pytest.raises(DiskFull, match="^x.tsv: Disk quota exceeded; all is kept$"), \
            files.disk_full_told(lambda: "all is kept", "x.tsv"):
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))


def test_a_named_pipe_waits_for_its_reader_and_not_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "SECONDS_FOR_READER", 0.3)
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(InputError, match="nobody has read from this pipe for 0.3 s"), files.stream_of(path):
        pass
    assert path.is_fifo()
    monkeypatch.setattr(files, "SECONDS_FOR_READER", 20)
    received = []
    reader = threading.Timer(0.3, lambda: received.append(path.read_bytes()))
    reader.start()
    with files.stream_of(path) as stream:
        stream.write(b"x" * 200_000)  # more than a pipe holds
    reader.join()
    assert received == [b"x" * 200_000] and path.is_fifo()


CODE = """
import ctypes, os, sys
from kipoi_deepmr import files
with files.standard_output_for_results():
    print("a model prints")
    os.write(1, b"and writes, ")
    ctypes.CDLL(None).puts(b"also from C")
    with files.stream_of(sys.argv[1]) as stream:
        stream.write(b"the result")
print("; as before")
"""


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_standard_output_is_for_results_alone(name):
    done = subprocess.run([sys.executable, "-c", CODE, name], capture_output=True, text=True, check=True)
    assert done.stdout == "the result; as before\n"
    assert "a model prints" in done.stderr and "and writes, " in done.stderr and "also from C" in done.stderr
