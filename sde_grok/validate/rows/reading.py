"""A table of runs as rows need it: numbers that can be, words in one spelling, and conditions on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from sde_grok.fits.sample import AXES
from sde_grok.fits.table import imported

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "NUMBERS",
    "completed",
    "condition",
    "decay_of",
    "selection",
    "shown",
    "unread",
    "written",
]

USUAL = {
    "task": "runs",
    "weight_decay": "coupled",
    "optimizer": "adam",
    "model": "mlp",
    "init": "lecun",
    "init_scale": 1.0,
    "sampling": "replacement",
}
OPTIMIZERS = ("adam", "adamw")
DECAYS = {"coupled": "coupled", "l2": "coupled", "decoupled": "decoupled", "adamw": "decoupled"}
TIMES = ("T_mem", "T_grok", "steps_run", "diverged_at")
RADII = ("rho2_init", "rho2_mem", "rho2_grok", "mean_sqrt_v_grok")
MOMENTS = tuple(
    f"{name}_{event}"
    for name in ("m_deviation", "v_deviation", "gradient_norm2", "noise_trace")
    for event in ("mem", "peak", "grok")
)
NOISE = tuple(
    f"noise_{name}_{event}"
    for name in ("total", "square", "diagonal_square", "signal")
    for event in ("mem", "grok")
)
POSITIVE = (  # what is not > 0 and finite was not measured
    *("rho2_mem", "rho2_grok", "mean_sqrt_v_grok"),
    *(f"gradient_norm2_{event}" for event in ("mem", "peak", "grok")),
    *NOISE,
)
NOT_NEGATIVE = ("rho2_init", *(name for name in MOMENTS if name not in POSITIVE))
NUMBERS = (*AXES, *TIMES, *RADII, *MOMENTS, *NOISE, "seed", "beta1", "embedding", "width")


def selection(runs: pd.DataFrame, part: Any, told_by: Sequence[str]) -> str | None:
    """Condition on columns of the file that some of its runs meet; None if it cannot be written."""
    names = [name for name in told_by if name in runs]
    if "optimizer" in runs and len(runs["optimizer"].drop_duplicates()) > 1:
        names = ["optimizer", *names]
    if not names:
        return "eta > 0"
    kinds = runs.loc[part, names].drop_duplicates().itertuples(index=False)
    each = [" and ".join(map(condition, names, kind)) for kind in kinds]
    if any("`" in one for one in each):  # which no expression may have
        return None
    return each[0] if len(each) == 1 else f"({' or '.join(f'({one})' for one in each)})"


def condition(name: str, value: Any) -> str:
    """Condition that a column has a value."""
    plain = written(value)
    return f"{name} != {name}" if plain == "nan" else f"{name} == {plain}"


def written(value: Any) -> str:
    """A value as expressions have it: a string in quotes, or a plain number; nan for a missing one."""
    plain = value.item() if isinstance(value, np.generic) else value
    return "nan" if imported().isna(plain) else repr(plain)


def decay_of(runs: pd.DataFrame) -> str:
    """Name of the column that has the kind of shrinkage: scans call it decay."""
    return "decay" if "decay" in runs and "weight_decay" not in runs else "weight_decay"


def shown(value: Any) -> str:
    """A setting in words."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    return f"{value:g}" if number else str(value)


def completed(runs: pd.DataFrame) -> pd.DataFrame:
    """Runs with the columns that rows need.

    What was measured is nan where it is not in the table or cannot be, a setting what the packaged
    runs have, and the kind of shrinkage "" where it is not known.
    """
    frame = runs.reindex(columns=list(dict.fromkeys([*runs.columns, *NUMBERS])))
    for name in NUMBERS:
        frame[name] = imported().to_numeric(frame[name], errors="coerce")
    for name in (*POSITIVE, *NOT_NEGATIVE):
        least = frame[name] > 0 if name in POSITIVE else frame[name] >= 0
        frame[name] = frame[name].where(least & np.isfinite(frame[name]))
    frame["beta1"] = frame["beta1"].where((frame["beta1"] >= 0) & (frame["beta1"] < 1))
    frame["weight_decay"] = decays(runs)
    for name, usual in USUAL.items():
        frame[name] = frame[name].fillna(usual) if name in frame else usual
    return frame


def words(runs: pd.DataFrame, name: str) -> list[str]:
    """Words of a column in small letters; "" where there are none."""
    if name not in runs:
        return [""] * len(runs)
    missing = runs[name].isna()
    return ["" if no else str(x).strip().lower() for x, no in zip(runs[name], missing, strict=True)]


def decays(runs: pd.DataFrame) -> list[str]:
    """Kind of shrinkage of each run; "" for runs of other optimizers, and where it is not known."""
    optimizers, kinds = words(runs, "optimizer"), words(runs, decay_of(runs))
    return [decay(*run) for run in zip(optimizers, kinds, strict=True)]


def decay(optimizer: str, word: str) -> str:
    """Kind of shrinkage by the words for it: that of AdamW is decoupled, of Adam coupled if not said."""
    if (optimizer or USUAL["optimizer"]) not in OPTIMIZERS:
        return ""
    unsaid = "decoupled" if optimizer == "adamw" else "" if word else "coupled"
    return DECAYS.get(word, unsaid)


def unread(runs: pd.DataFrame) -> list[str]:
    """How many runs are in no group, by the words that do not tell Adam, or its shrinkage."""
    told = zip(words(runs, "optimizer"), words(runs, decay_of(runs)), decays(runs), strict=True)
    counts = Counter((optimizer, word) for optimizer, word, kind in told if not kind)
    return [
        f"{n} runs left out: optimizer {optimizer or 'not said'}, {decay_of(runs)} {word or 'not said'}"
        for (optimizer, word), n in counts.items()
    ]
