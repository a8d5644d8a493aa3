"""Exponents from a scan of the radial rung where gradient noise dominates: those of the theory."""

import json

import pytest

pytest.importorskip("lifelines")
pytest.importorskip("zarr")

from sde_grok import cli
from sde_grok.scans import Scan, scan

LEADING = {"coupled": (-1.0, -1.0, -0.5), "decoupled": (-1.0, -1.0, 0.0)}
BASE = {"dim": 4, "rho_start": 2.0, "rho_core": 1.0, "sigma": 1.0, "eps": 0.0, "max_steps": 10**9}
AXES = {
    "eta": {"log": [1e-7, 1e-6], "n": 4},
    "batch_size": [25, 100, 400],
    "lam": [0.1, 0.3, 1.0],
}
WIDER = 4.0 / 1.96  # of six exponents and their 95 % limits: false alarms at a rate of 4e-4


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize("decay", LEADING)
def test_a_scan_recovers_the_leading_exponents_within_their_limits(decay, tmp_path, capsys):
    """Exact means have them to 1e-6, by their closed form; a path's spread is 6e-5 to 3e-3."""
    scan(Scan(base=BASE | {"decay": decay}, axes=AXES, paths=100, seed=3), out=tmp_path)
    with pytest.raises(SystemExit, match="0"):
        cli.main(["fit", str(tmp_path), "--law", "constant_law", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert (report["n"], report["n_censored"]) == (3600, 0)
    for name, true in zip(("eta", "lam", "batch_size"), LEADING[decay], strict=True):
        found = report["exponents"][name]
        half = (found["high"] - found["low"]) / 2
        assert half < 1e-4
        assert abs(found["estimate"] - true) < WIDER * half
