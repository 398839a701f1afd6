"""How long a run takes is told once, from loci after the first."""

import pytest

from kipoi_deepmr.pipeline.duration import TimeTold, in_words


class Run:
    """Counts loci at given moments (seconds from the start)."""

    def __init__(self, n_loci):
        self.now, self.said = 0.0, []
        self._told = TimeTold(n_loci, self.said.append, clock=lambda: self.now)

    def at(self, second, n=1):
        self.now = second
        self._told.add(n)


def test_the_first_locus_counts_for_its_own_time_only():
    """30 s for the first, with all that is compiled, then one a second."""
    run = Run(2001)
    for second in range(30, 60):
        run.at(second)
        assert not run.said
    run.at(60)
    run.at(61)
    assert run.said == ["time: about 34 min to predict 2,001 loci (from 30 of them)"]


def test_workers_of_a_cluster_that_send_their_first_blocks_together():
    """Ten workers, blocks of 64 that take a minute: the estimate waits for a second round."""
    run = Run(64_000)
    for moment in range(10):
        run.at(60 + moment / 10, 64)
    assert not run.said
    for moment in range(10):
        run.at(120 + moment / 10, 64)
    whole = 60 + (64_000 - 64) * 60 / 640
    assert run.said == [f"time: about {in_words(whole)} to predict 64,000 loci (from 640 of them)"]


def test_nothing_is_said_of_a_short_run_or_at_the_end():
    short, late = Run(10), Run(2)
    for second in range(1, 5):
        short.at(second)
    late.at(1)
    late.at(100)
    assert not short.said and not late.said


@pytest.mark.parametrize("seconds, words", [(0.4, "1 s or less"), (1.2, "1 s"), (99, "99 s"), (100, "2 min"),
                                            (3540, "59 min"), (3590, "1 h 0 min"), (12_000, "3 h 20 min"),
                                            (170_000, "47 h 13 min"), (270_000, "3 days 3 h")])
def test_in_words(seconds, words):
    assert in_words(seconds) == words
