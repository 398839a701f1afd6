"""Channels of a convolution whose ReLU stays at zero whatever a mutation does, found per sequence.

Where a unit's value z before ReLU is negative, a mutation wakes it only if it adds more than -z; and it adds at most
the norm of the changes that the unit sees times that of its kernel (Cauchy-Schwarz). Channels that are seldom above
zero are left out of a convolution wherever that bound says that none of them can wake: the result is the same number.
"""

import numpy as np

from .assembly import OVERRUN, Program, packed
from .instructions import AWAKE_CHANNELS, SLEEPY_CHANNELS

WORTH = 0.2  # of the rows in which nothing else is above zero
ROUNDING = 1e-4  # of a square norm in float32, generously


def with_sleepers(program: Program, values: dict[str, np.ndarray], z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `convolutions.conv_awake` needs to leave channels out, for one sequence.

    Parameters
    ----------
    program : Program
    values : dict of str to float64 array
        Of all nodes for the reference sequence.
    z : (program.z_size,) float32
        See heads.saved_values.

    Returns
    -------
    table : (instruction,) INSTRUCTION
        The program's; of each convolution that gains, `awake`, `awake_weight`, `bound` and `places` are offsets in z.
    z : (n,) float32
        As given, and behind it for these convolutions: the kept channels' values, their weights, for each row the
        square norm of changes below which nothing else wakes, and the place of each kept channel.
    """
    table, tape, size = program.table, [z], len(z)
    for q, (node, weight) in program.can_sleep.items():
        sleepers = _awake(values[node], weight)
        if sleepers is None:
            continue
        awake, bound = sleepers
        awake_value = np.zeros((len(bound) + OVERRUN, len(awake)), np.float32)
        awake_value[:len(bound)] = values[node][:, awake]
        places = np.full(SLEEPY_CHANNELS, -1, np.int32)
        places[awake] = np.arange(len(awake))
        table = table.copy() if table is program.table else table
        parts = {"awake": awake_value, "awake_weight": packed(weight[:, :, awake], True).astype(np.float32),
                 "bound": bound.astype(np.float32), "places": places.view(np.float32)}
        for name, part in parts.items():
            table[name][q] = size
            tape.append(part.reshape(-1))
            size += part.size
    return table, np.concatenate(tape) if len(tape) > 1 else z


def _awake(value, weight):
    """Channels that are computed anyway, and for each row the square norm of changes below which no other can wake."""
    n = AWAKE_CHANNELS
    above = (value > 0).mean(0)
    order = np.argsort(-above, kind="stable")
    if not len(value) or len(above) <= n or above[order[n]] > 1 - WORTH:
        return None
    others = order[n:]
    norm = np.sqrt(np.square(weight[:, :, others], dtype=np.float64).sum((0, 1)))
    bound = (-value[:, others] / np.maximum(norm, 1e-30)).min(1)
    bound = np.where(bound > 0, np.square(bound) * (1 - ROUNDING), -1)
    return (np.sort(order[:n]), bound) if (bound > 0).mean() > WORTH else None
