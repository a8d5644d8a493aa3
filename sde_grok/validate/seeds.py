"""Seeds of the parts of a validation: unrelated to each other, and to those of another seed."""

from __future__ import annotations

import numpy as np

__all__ = ["derived_seed"]


def derived_seed(seed: int, *place: int) -> int:
    """64-bit seed of the part at `place` of a validation with `seed`."""
    return int(np.random.SeedSequence([seed, *place]).generate_state(1, np.uint64)[0])
