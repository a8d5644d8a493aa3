"""Which laws suit what data, and what those of simulated scans say."""

import math
from itertools import product

import numpy as np
import pytest
from fit_samples import grid, made

from sde_grok import Geometry, IsotropicNoise, Optimizer, laws, simulate_escape
from sde_grok.checks import ParameterError

pd = pytest.importorskip("pandas")

from sde_grok.fits.candidates import design
from sde_grok.fits.competition import LAWS, compete


@pytest.mark.parametrize(
    ("name", "response", "change", "words"),
    [
        ("theorem_4", "delay", {}, "one of constant_law"),
        ("memorization_law", "delay", {}, "a law of delay, not of t_mem"),
        ("collapse_law", "delay", {"rho2_mem": math.nan}, "finite rho2_start"),
        ("gradient_flow_law", "delay", {}, "finite init_scale"),
        ("gradient_flow_law", "delay", {"init_scale": 1.0}, "init_scale = 1.0: must be"),
        ("power_law", "delay", {"lam": 0.0}, "lam = 0.0: must be > 0"),
        ("theorem_1", "rho2_mem", {"eta": 1e-3, "batch_size": 100.0}, "3 constants"),
        ("matched_steps", "delay", {"rho2_core": 1.0}, "finite dim"),
        ("collapse_law", "delay", {"rho2_mem": "abc"}, "finite rho2_start"),
        ("gradient_flow_law", "delay", {"init_scale": "a"}, "finite init_scale"),
        (
            "theorem_1",
            "rho2_mem",
            {"eta": 1e-3, "batch_size": 100.0},
            r"3 constants the data determine \(it is finite in 54 rows\)",
        ),
    ],
)
def test_a_law_that_does_not_suit_says_why_in_a_line(name, response, change, words):
    frame = grid().assign(**change)
    sample = made(response, np.full(len(frame), 1e4), frame)
    with pytest.raises(ParameterError, match=words) as error:
        compete(sample, [name])
    assert error.value.field == "law"
    assert "\n" not in str(error.value)
    assert name not in compete(sample)


def test_a_column_may_have_any_name():
    frame = grid().assign(columns=2, index=3)
    frame["self"] = 1
    plain = compete(made("delay", np.full(len(frame), 1e4), grid()))
    assert compete(made("delay", np.full(len(frame), 1e4), frame)).keys() == plain.keys()


def scan(decay="coupled"):
    points = product([1e-3, 3e-3], [1e-2, 3e-2], [100.0, 400.0])
    frame = pd.DataFrame(points, columns=["eta", "lam", "batch_size"])
    rest = {"rho_start": 6.0, "rho_core": 4.0, "dim": 32, "sigma": 1.0, "decay": decay}
    return frame.assign(**rest, beta1=0.9, beta2=0.999)


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_the_exact_law_of_a_radial_scan_is_the_one_that_the_simulation_reports(decay):
    frame = scan(decay)
    exact = []
    for row in frame.itertuples():
        result = simulate_escape(
            Optimizer(eta=row.eta, batch_size=int(row.batch_size), lam=row.lam, decay=decay),
            Geometry(rho_start=6.0, rho_core=4.0, dim=32),
            IsotropicNoise(sigma=1.0),
            system="radial",
            n_paths=1,
            max_steps=10**7,
            seed=1,
        )
        exact.append(result.exact_mean_steps)
    fits = compete(made("delay", exact, frame))
    assert fits["mean_passage_time"].mape_in_sample < 1e-6  # ε = 1e-8 is left out
    assert 0 < fits["law_limit"].mape_in_sample < 0.1
    assert ("matched_steps" in fits) == (decay == "coupled")


@pytest.mark.parametrize(
    ("column", "text"), [("rho_start", "a"), ("beta1", "q"), ("dim", "d"), ("eps", "e")]
)
def test_laws_do_not_suit_where_their_columns_are_text(column, text):
    frame = scan().assign(**{column: text})
    found = compete(made("delay", np.full(len(frame), 1e3), frame))
    assert "constant_law" in found
    assert "mean_field_steps" not in found
    assert ("mean_passage_time" in found) == (column == "beta1")


OF_RADIAL, OF_COUPLED = (
    ("mean_passage_time", "law_limit"),
    ("matched_steps", "mean_field_steps", "direction_averaged_steps"),
)


def test_laws_that_leave_eps_out_suit_where_it_is_small():
    frame = scan()
    least = np.hypot(1 / np.sqrt(frame.batch_size), frame.lam * 4 / math.sqrt(32))
    for factor, suits in ((0.9e-3, True), (1.1e-3, False)):
        found = compete(made("delay", np.full(len(frame), 1e3), frame.assign(eps=factor * least)))
        assert set(OF_RADIAL) <= set(found)
        assert (set(OF_COUPLED) <= set(found)) == suits
        assert set(OF_COUPLED).isdisjoint(found) != suits
    with pytest.raises(ParameterError, match=r"eps = 0\.5: must be below 0\.001"):
        compete(made("delay", np.full(8, 1e3), frame.assign(eps=[*[0.0] * 7, 0.5])), OF_COUPLED)


@pytest.mark.statistical
@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
def test_the_exact_law_of_a_radial_scan_takes_eps_into_account(decay):
    """False alarms: 2 · 8 means of 400 paths, beyond 4.5 standard errors at a rate of 1e-4."""
    frame, shell = scan(decay).assign(eps=0.5), Geometry(rho_start=6.0, rho_core=4.0, dim=32)
    law = design(LAWS["mean_passage_time"], frame)[:, 0]
    for row, expected in zip(frame.itertuples(), law, strict=True):
        result = simulate_escape(
            Optimizer(
                eta=row.eta, batch_size=int(row.batch_size), lam=row.lam, decay=decay, eps=row.eps
            ),
            shell,
            IsotropicNoise(sigma=1.0),
            system="radial",
            n_paths=400,
            max_steps=10**7,
            seed=2,
        )
        assert result.hit_fraction == 1
        assert abs(result.mean.value - expected) < 4.5 * result.mean.stderr


@pytest.mark.parametrize("name", ["matched_steps", "mean_field_steps", "direction_averaged_steps"])
def test_laws_of_a_coupled_scan_are_those_of_the_shell_and_the_core(name):
    frame = pd.concat([scan(), scan()], ignore_index=True)
    columns = ["eta", "lam", "batch_size", "dim", "sigma"]
    columns += ["beta1", "beta2"] if name == "mean_field_steps" else []
    y = getattr(laws, name)(36.0, 16.0, **{c: frame[c].to_numpy() for c in columns})
    fit = compete(made("delay", 1.25 * y, frame), [name])[name]
    assert fit.constants == {}
    assert fit.mape_in_sample == pytest.approx(0.2, rel=1e-12)
    assert fit.mape_in_sample_low == pytest.approx(fit.mape_in_sample_high, rel=1e-12)
