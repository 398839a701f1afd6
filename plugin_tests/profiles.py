"""How many examples Hypothesis draws: profile `quick`, or `full` by `--hypothesis-profile full`."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = {"quick": 20, "full": 200}
FEWEST = 3  # of a costly test


def register():
    """The profiles; the environment variable HYPOTHESIS_PROFILE names the one that an option does not."""
    for name, examples in EXAMPLES.items():
        settings.register_profile(name, derandomize=True, deadline=None, max_examples=examples,
                                  suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def fewer(divisor):
    """For a costly test: the profile's number of examples over `divisor`. In place of `settings`."""
    return settings(max_examples=max(FEWEST, settings().max_examples // divisor))
