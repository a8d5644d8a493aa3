"""Reproducible property tests, the false-alarm budget of the suite, and a small escape problem."""

from typing import ClassVar

import pytest
import stats_tools
from hypothesis import settings

from sde_grok import FLAT, Geometry, IsotropicNoise, Optimizer, simulate_escape

# Compilation falls into the first example; a fixed choice of examples makes every run the same.
settings.register_profile("suite", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("suite")


@pytest.fixture(autouse=True, scope="session")
def budget():
    """All comparisons together keep to the number over which the false alarms are shared."""
    yield
    assert len(stats_tools.MADE) <= stats_tools.COMPARISONS


def pytest_terminal_summary(terminalreporter):
    made = stats_tools.MADE
    if made:
        worst = max(made, key=lambda c: abs(c.z))
        terminalreporter.write_line(
            f"{len(made)} statistical comparisons of {stats_tools.COMPARISONS} budgeted; largest "
            f"|z| = {abs(worst.z):.2f} < {stats_tools.Z:.2f} ({worst.what})"
        )


class SmallProblem:
    """An escape of some seventy steps in three dimensions, with what is given changed."""

    outward: ClassVar = {"rho_start": 1.0, "rho_core": 1.02, "direction": "outward"}

    @staticmethod
    def optimizer(**changes):
        standard = {"eta": 0.01, "batch_size": 4, "lam": 1.0, "decay": "decoupled"}
        return Optimizer(**(standard | changes))

    @staticmethod
    def geometry(**changes):
        return Geometry(**({"rho_start": 2.0, "rho_core": 1.0, "dim": 3} | changes))

    def __call__(
        self, system, *, optimizer=None, geometry=None, noise=None, landscape=FLAT, **settings
    ):
        return simulate_escape(
            self.optimizer(**(optimizer or {})),
            self.geometry(**(geometry or {})),
            noise or IsotropicNoise(2.0),
            landscape,
            system=system,
            **({"n_paths": 40, "max_steps": 400, "seed": 1, "threads": 1} | settings),
        )


@pytest.fixture(scope="session")
def escape():
    return SmallProblem()


@pytest.fixture
def written(tmp_path):
    """Write a file."""

    def write(text, name="log.csv"):
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


@pytest.fixture(scope="session")
def done(tmp_path_factory):
    """Folder of the small scan, and what came out."""
    from small_scans import SMALL  # noqa: PLC0415

    from sde_grok.scans import scan  # noqa: PLC0415  (a second)

    out = tmp_path_factory.mktemp("done")
    return out, scan(SMALL, out=out)
