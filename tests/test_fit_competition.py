import inspect
import math
from itertools import product

import numpy as np
import pytest
from fit_samples import grid, made, reference
from scipy.optimize import nnls

from sde_grok import laws
from sde_grok.checks import ParameterError
from sde_grok.plotting import paper_style

pd = pytest.importorskip("pandas")

from sde_grok.fits.competition import LAWS, compete, middle_cell, seed_floor
from sde_grok.fits.figures import competition_figure


def of_frame(law, frame, **constants):
    axes = {name: frame[name].to_numpy() for name in ("eta", "lam", "batch_size")}
    return law(frame.rho2_mem.to_numpy(), frame.rho2_grok.to_numpy(), **axes, **constants)


def one_constant(x, y):
    """Least squares of relative errors by the derivative: Σ (cx/y − 1) x/y = 0."""
    return sum(a / b for a, b in zip(x, y, strict=True)) / sum(
        (a / b) ** 2 for a, b in zip(x, y, strict=True)
    )


def test_every_delay_law_is_in_the_registry():
    shared = ["rho2_start", "rho2_core"]
    found = set()
    for name in laws.__all__:
        law = getattr(laws, name)
        if inspect.isfunction(law):
            names = list(inspect.signature(law).parameters)
            if names[:2] == shared and {"eta", "lam", "batch_size"} <= set(names):
                found.add({"transition_time": "theorem_3"}.get(name, name))
    assert len(found) > 10
    assert found <= set(LAWS)


@pytest.mark.parametrize(("task", "n", "percent"), [("z127", 44, 6.1), ("s5", 24, 8.2)])
def test_seed_floor_of_the_reference_runs(task, n, percent):
    sample = reference(task)
    assert sample.y.size == n
    errors = []
    for cell in set(sample.cell):
        values = [y for y, c in zip(sample.y, sample.cell, strict=True) if c == cell]
        errors += [abs(np.median(values) - y) / y for y in values]
    floor = seed_floor(sample)
    assert floor == pytest.approx(sum(errors) / len(errors), rel=1e-12)
    assert 100 * floor == pytest.approx(percent, abs=0.05)


def test_seed_floor_is_of_the_cells_with_two_events_or_more():
    frame, y = grid(seeds=3), np.random.default_rng(4).lognormal(9, 0.3, 81)
    cell = made("delay", y, frame).cell
    event = (frame.seed == 0).to_numpy() | (frame.eta == 1e-3).to_numpy()
    groups = [y[(cell == c) & event] for c in set(cell) if np.sum((cell == c) & event) == 3]
    assert len(groups) == 9
    naive = np.mean([abs(np.median(group) - v) / v for group in groups for v in group])
    assert seed_floor(made("delay", y, frame, event)) == pytest.approx(naive, rel=1e-12)
    assert math.isnan(seed_floor(made("delay", y, frame, (frame.seed == 0).to_numpy())))


@pytest.mark.parametrize(("task", "collapse"), [("z127", 11), ("s5", 18)])
def test_one_cell_errors_are_those_of_plain_arithmetic(task, collapse):
    sample = reference(task)
    frame, y = sample.frame, sample.y
    here = ((frame.eta == 1e-3) & (frame.lam == 1e-4) & (frame.batch_size == 100)).to_numpy()
    np.testing.assert_array_equal(middle_cell(sample), np.flatnonzero(here))
    fits = compete(sample)
    log_radii = np.log(frame.rho2_mem / frame.rho2_grok)
    shapes = {
        "collapse_law": log_radii / frame.eta / frame.lam**0.5 / frame.batch_size**0.25,
        "theorem_3_leading": log_radii / frame.eta / frame.lam / frame.batch_size**0.5,
        "constant_law": 1 / frame.eta / frame.lam,
    }
    for name, shape in shapes.items():
        x = shape.to_numpy()
        predicted = np.mean(y[here] / x[here]) * x
        naive = np.mean(np.abs(predicted - y)[~here] / y[~here])
        assert fits[name].mape_one_cell == pytest.approx(naive, rel=1e-9)
    assert round(100 * fits["collapse_law"].mape_one_cell) == collapse


@pytest.mark.parametrize("task", ["z127", "s5"])
def test_theorem_3_is_fitted_by_least_squares_of_its_three_terms(task):
    sample = reference(task)
    frame, y = sample.frame, sample.y
    eta, lam, b = frame.eta, frame.lam, frame.batch_size
    leading = np.log(frame.rho2_mem / frame.rho2_grok) / (2 * eta * lam * b**0.5)
    x = np.column_stack([leading, 1 / (b * lam), 1 / lam**2])
    size = x.max(axis=0)
    z = x / size / y[:, None]
    naive = np.linalg.solve(z.T @ z, z.T @ np.ones(y.size)) / size
    fit = compete(sample, ["theorem_3"])["theorem_3"]
    np.testing.assert_allclose(list(fit.constants.values()), naive, rtol=1e-7)
    error = np.abs(x @ naive - y) / y
    assert fit.mape_in_sample == pytest.approx(error.mean(), rel=1e-8)
    assert fit.aic == pytest.approx(y.size * math.log(np.mean(error**2)) + 6, rel=1e-8)


MADE = {
    "constant_law": {"constant": 0.3},
    "norm_separation_law": {"constant": 2.0},
    "norm_first_passage_law": {"kappa": 40.0},
    "pinned_norm_law": {"constant": 700.0},
    "collapse_law": {"constant": 0.3},
    "stagewise_law": {"rise_constant": 4e-4, "fall_constant": 2.0},
    "theorem_3": {"sigma": 0.02, "c_tau": 9.0, "c_tau2": -3e-6},
    "theorem_3_leading": {"sigma": 0.02},
    "memorization_law": {"constant": 160.0},
    "omnigrok_law": {},
}


@pytest.mark.parametrize("name", MADE)
def test_a_law_recovers_the_constants_that_made_the_data(name):
    frame = grid()
    law = getattr(laws, name, laws.transition_time)
    fit = compete(made(LAWS[name].response, of_frame(law, frame, **MADE[name]), frame), [name])[
        name
    ]
    assert fit.constants == pytest.approx(MADE[name], rel=1e-7)
    errors = (fit.mape_in_sample, fit.mape_in_sample_high, fit.mape_held_out)
    assert max(errors) < 1e-7
    assert (fit.mape_one_cell < 1e-7) == (len(MADE[name]) == 1)


def test_the_power_law_recovers_its_exponents_and_leaves_out_axes_that_do_not_vary():
    frame = grid()
    y = 5 * frame.eta**-0.9 * frame.lam**-0.4
    fit = compete(made("anything", y, frame))["power_law"]
    expected = {"constant": 5.0, "eta": -0.9, "lam": -0.4, "batch_size": 0.0}
    assert fit.constants == pytest.approx(expected, rel=1e-7, abs=1e-9)
    same_b = (frame.batch_size == 100).to_numpy()
    fit = compete(made("delay", y[same_b], frame[same_b]), ["power_law"])["power_law"]
    assert fit.constants == pytest.approx({"constant": 5.0, "eta": -0.9, "lam": -0.4}, rel=1e-7)


def test_the_power_law_has_the_least_relative_error_of_all_near_it():
    sample = reference("s5")
    fit = compete(sample, ["power_law"])["power_law"]
    c, p, q = fit.constants.values()

    def square(c, p, q):
        ratio = c * sample.frame.eta**p * sample.frame.lam**q / sample.y
        return np.sum((ratio - 1) ** 2)

    least = square(c, p, q)
    assert least == pytest.approx(sample.y.size * math.exp((fit.aic - 6) / sample.y.size), rel=1e-9)
    for factor, dp, dq in product([0.99, 1, 1.01], [-0.01, 0, 0.01], [-0.01, 0, 0.01]):
        assert square(c * factor, p + dp, q + dq) >= least


def test_theorems_1_and_2_recover_their_coefficients():
    frame = grid()
    u = frame.eta / frame.batch_size
    fit = compete(made("rho2_mem", 7000 - 3e7 * u + 4e11 * u**2, frame), ["theorem_1"])["theorem_1"]
    expected = {"rho2_zero": 7000, "c_m": -3e7, "c_m2": 4e11, "eta_over_b_minimum": 3e7 / 8e11}
    assert fit.constants == pytest.approx(expected, rel=1e-6)
    y = 4000 + frame.eta / frame.lam * 300 / np.sqrt(frame.batch_size)
    fit = compete(made("rho2_grok", y, frame))["theorem_2"]
    assert fit.constants == pytest.approx({"rho2_zero": 4000, "c": 300}, rel=1e-9)


def test_held_out_error_is_that_of_leaving_out_each_value_in_turn():
    frame = grid()
    rng = np.random.default_rng(5)
    y = of_frame(laws.constant_law, frame, constant=1.0) * rng.lognormal(0, 0.4, len(frame))
    x = (0.5 / frame.eta / frame.lam).to_numpy()
    errors = []
    for axis in ("eta", "lam", "batch_size"):
        for value in sorted(set(frame[axis])):
            out = (frame[axis] == value).to_numpy()
            c = one_constant(x[~out], y[~out])
            errors += [abs(c * a - t) / t for a, t in zip(x[out], y[out], strict=True)]
    fit = compete(made("delay", y, frame), ["constant_law"])["constant_law"]
    assert len(errors) == 3 * len(frame)
    assert fit.mape_held_out == pytest.approx(np.mean(errors), rel=1e-10)


def test_axes_of_two_values_and_folds_that_confound_axes_are_not_left_out():
    frame = grid()
    two = frame[(frame.eta < 3e-3) & (frame.lam < 1e-3) & (frame.batch_size > 25)]
    y = of_frame(laws.constant_law, two, constant=1.0)
    assert math.isnan(
        compete(made("delay", y, two), ["constant_law"])["constant_law"].mape_held_out
    )
    star = frame[(frame.batch_size == 100) | ((frame.eta == 1e-3) & (frame.batch_size > 25))]
    noise = np.random.default_rng(1).lognormal(0, 0.3, len(star))
    y = of_frame(laws.constant_law, star, constant=1.0) * noise
    x, errors = (0.5 / star.eta / star.lam).to_numpy(), []
    for axis, value in [("eta", 3e-4), ("eta", 3e-3), ("lam", 1e-4), ("lam", 3e-4), ("lam", 1e-3)]:
        out = (star[axis] == value).to_numpy()
        errors += list(np.abs(one_constant(x[~out], y[~out]) * x[out] / y[out] - 1))
    fits = compete(made("delay", y, star), ["constant_law", "power_law"])
    assert fits["constant_law"].mape_held_out == pytest.approx(np.mean(errors), rel=1e-10)
    assert math.isfinite(fits["power_law"].mape_held_out)


def test_the_interval_is_that_of_whole_cells_drawn_again():
    sample = reference("s5")
    x = (0.5 / sample.frame.eta / sample.frame.lam).to_numpy()
    rng, found = np.random.default_rng(11), []
    cells = [
        [i for i, c in enumerate(sample.cell) if c == cell] for cell in sorted(set(sample.cell))
    ]
    for _ in range(2000):
        rows = []
        for i in rng.integers(len(cells), size=len(cells)):
            rows += cells[i]
        c = one_constant(x[rows], sample.y[rows])
        found.append(np.mean(np.abs(c * x[rows] / sample.y[rows] - 1)))
    fit = compete(sample, ["constant_law"], seed=4)["constant_law"]
    low, high = np.quantile(found, [0.025, 0.975])
    # a limit of 200 draws lies, but for 1e-4, within these of many
    assert np.quantile(found, 0.001) < fit.mape_in_sample_low < np.quantile(found, 0.085)
    assert np.quantile(found, 0.915) < fit.mape_in_sample_high < np.quantile(found, 0.999)
    assert low < fit.mape_in_sample < high
    assert compete(sample, ["constant_law"], seed=4)["constant_law"] == fit
    assert compete(sample, ["constant_law"], seed=5)["constant_law"] != fit


def test_one_cell_has_errors_and_no_interval():
    frame = grid(seeds=3).iloc[:3]
    fit = compete(made("delay", [900.0, 1000.0, 1100.0], frame), ["constant_law"])["constant_law"]
    assert 0 < fit.mape_in_sample < 0.1
    assert math.isnan(fit.mape_in_sample_low)
    assert math.isnan(fit.mape_in_sample_high)
    with paper_style():
        axes = competition_figure({"constant_law": fit}, math.nan).axes[0]
    assert "in sample, 95 %" not in [line.get_label() for line in axes.lines]


def test_cells_of_one_row_have_an_interval():
    frame = grid(seeds=1)
    y = np.random.default_rng(6).lognormal(9, 0.3, len(frame))
    for fit in compete(made("delay", y, frame)).values():
        assert fit.mape_in_sample_low < fit.mape_in_sample < fit.mape_in_sample_high


def test_constants_stay_in_the_range_of_their_law():
    sample = reference("s5")
    eta, lam, b = sample.frame.eta, sample.frame.lam, sample.frame.batch_size
    rise = eta**-1.5 * lam**-0.6 * b**-0.3
    fall = eta**-0.64 * lam**-0.4 * b**-0.19
    x = np.column_stack([rise, fall]) / sample.y[:, None]
    assert np.linalg.lstsq(x, np.ones(sample.y.size))[0].min() < 0
    naive = nnls(x / x.max(axis=0), np.ones(sample.y.size))[0] / x.max(axis=0)
    fit = compete(sample, ["stagewise_law"])["stagewise_law"]
    np.testing.assert_allclose(list(fit.constants.values()), naive, rtol=1e-9)


def test_a_law_that_says_never_of_what_happened_has_an_infinite_error():
    frame = grid()
    y = of_frame(laws.collapse_law, frame, constant=0.3)
    frame.loc[7, "rho2_mem"] = frame.loc[7, "rho2_grok"] - 1
    fits = compete(made("delay", y, frame))
    fit = fits["collapse_law"]
    assert fit.never == 1
    assert (fit.mape_in_sample, fit.mape_held_out, fit.aic) == (math.inf, math.inf, math.inf)
    assert fit.mape_in_sample_high == math.inf
    assert fit.constants["constant"] == pytest.approx(0.3, rel=1e-12)
    assert math.isfinite(fits["constant_law"].mape_held_out)
    assert fits["constant_law"].never == 0


def test_laws_are_sorted_by_their_held_out_error():
    fits = list(compete(reference("z127")).items())
    assert fits[0][0] == "collapse_law"
    errors = [fit.mape_held_out for _, fit in fits]
    assert errors == sorted(errors)
    by_name = dict(fits)
    assert by_name["norm_separation_law"].aic == by_name["norm_first_passage_law"].aic


def test_censored_rows_change_nothing():
    frame = grid(seeds=3)
    event = (frame.seed < 2).to_numpy()
    y = np.random.default_rng(8).lognormal(9, 0.5, len(frame))
    whole = made("delay", y, frame, event)
    assert compete(whole) == compete(made("delay", y[event], frame[event]))
    assert seed_floor(whole) == seed_floor(made("delay", y[event], frame[event]))
    with pytest.raises(ParameterError, match="not censored"):
        compete(made("delay", y, frame, np.zeros(len(frame), bool)))


def test_the_figure_shows_each_error_where_it_is():
    sample = reference("z127")
    fits, floor = compete(sample), seed_floor(sample)
    with paper_style():
        axes = competition_figure(fits, floor).axes[0]
    dots = [line for line in axes.lines if line.get_label() == "held out"]
    assert [line.get_xdata()[0] for line in dots] == [fit.mape_held_out for fit in fits.values()]
    assert [label.get_text() for label in axes.get_yticklabels()][:1] == ["collapse law"]
    assert axes.lines[0].get_xdata()[0] == floor
    assert axes.get_xlim()[0] < floor
    assert [text.get_text() for text in axes.texts] == [
        f"{100 * fits['omnigrok_law'].mape_held_out:.0f} % →"
    ]
    with pytest.raises(ParameterError, match="at least one"):
        competition_figure({}, floor)


def test_the_figure_has_no_line_where_no_scatter_of_seeds_is_known():
    with paper_style():
        axes = competition_figure(compete(reference("s5"), ["constant_law"]), math.nan).axes[0]
    assert "scatter of seeds" not in [line.get_label() for line in axes.lines]
    assert "held out" in [line.get_label() for line in axes.lines]
