"""The frame protocol under atheris: any bytes are frames, which survive being sent again, or a FrameError.

    pip install atheris numpy      # wheels for CPython 3.11 to 3.13 on Linux; none of kipoi_deepmr's requirements
    python validation/fuzz_frames.py [--seconds 600] [CORPUS]

Coverage of `frames` and of Python's JSON reader guides it. Half of the inputs are bytes as they stand in the pipe; in
the other half the length of the header is right and the arrays do not end too soon, so that more of them reach what
lies behind. It begins with frames that are whole, goes on for the time given, and stops with a stack trace at the first
input that is neither; the statistics at the end say how many inputs were tried.
"""

import argparse
import io
import struct
import sys
import tempfile
from pathlib import Path

import atheris
import numpy as np

HOST = Path(__file__).resolve().parent.parent / "kipoi_deepmr" / "models" / "host"
sys.path.insert(0, str(HOST))  # for `frames` alone, as a model's Python has it

with atheris.instrument_imports(include=["frames", "json"]):
    import frames

AS_IT_STANDS, LENGTH_MADE_RIGHT = 0, 1
WORDS = ('{"arrays":[', '["|u1",[', '["<f4",[', "]]", "]]}", "null", "true", "1e400", "-1", "2147483648", "\\ud800")


def frame(header, arrays=()):
    stream = io.BytesIO()
    frames.write(stream, header, arrays)
    return stream.getvalue()


def seeds():
    """Inputs to begin with: the first byte says how the others are taken."""
    sequences, numbers = np.arange(12, dtype=np.uint8).reshape(3, 4), np.ones((2, 1, 3), np.float32)
    part = frame({"reply": "part"}, [sequences, np.zeros((0, 5), np.float32), numbers])
    for whole in (frame({"request": "load", "settings": {"a": [1, None, "\u00e9"]}}), part * 2):
        yield bytes([AS_IT_STANDS]) + whole
        yield bytes([LENGTH_MADE_RIGHT]) + whole[4:].replace(b"}", b"}\0", 1)


def pipe_of(data):
    """What an input puts into the pipe; with LENGTH_MADE_RIGHT a zero byte ends the header, zeros follow the arrays."""
    if not data or data[0] % 2 == AS_IT_STANDS:
        return data[1:]
    header, _, rest = data[1:].partition(b"\0")
    return struct.pack("<I", len(header)) + header + rest + bytes(4096)


def try_one(data):
    stream = io.BytesIO(pipe_of(data))
    try:
        while (read := frames.read(stream)) is not None:
            again = frame(*read)
            assert frame(*frames.read(io.BytesIO(again))) == again
    except frames.FrameError:
        pass


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus", nargs="?", help="folder of inputs to begin with, and to keep new ones in")
    parser.add_argument("--seconds", type=int, default=600)
    arguments = parser.parse_args()
    corpus = Path(arguments.corpus or tempfile.mkdtemp())
    corpus.mkdir(exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed{number}").write_bytes(seed)
    with tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False) as words:
        words.write("".join('"{}"\n'.format(word.replace("\\", "\\\\").replace('"', '\\"')) for word in WORDS))
    atheris.Setup([sys.argv[0], str(corpus), f"-max_total_time={arguments.seconds}", f"-dict={words.name}",
                   "-max_len=4096", "-rss_limit_mb=6000", "-print_final_stats=1", f"-artifact_prefix={corpus}/"],
                  try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
