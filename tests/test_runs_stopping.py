"""Stopping times on series that can be read off by eye."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sde_grok.checks import ParameterError
from sde_grok.runs.stopping import Thresholds, core_entry, first, held, stopping_times

UNMEMORIZED, UNGROKKED, FLAT = [0.5] * 6, [0.1] * 6, [1.0] * 6


def stops(*, train=UNMEMORIZED, test=UNGROKKED, rho2=FLAT, **thresholds):
    return stopping_times(train, test, rho2, Thresholds(**thresholds))


# --- Memorization and grokking ----------------------------------------------------------------


def test_what_never_happens_has_no_time():
    seen = stops()
    assert (seen.mem, seen.grok, seen.sustained) == (None, None, None)


def test_without_evaluations_there_is_nothing():
    assert stops(train=[], test=[], rho2=[]) == (None, None, None, None)


def test_memorization_is_the_first_evaluation_at_the_threshold():
    train = [0.1, 0.9, 0.99, 0.5, 1.0, 1.0]
    assert stops(train=train).mem == 2
    assert stops(train=train, train_accuracy=1.0).mem == 4


def test_grokking_is_the_first_evaluation_at_the_threshold():
    test = [0.1, 0.5, 0.94, 0.95, 0.2, 1.0]
    assert stops(test=test).grok == 3
    assert stops(test=test, test_accuracy=0.5).grok == 1
    assert stops(test=test, test_accuracy=1.0).grok == 5


def test_it_may_happen_at_the_first_evaluation():
    seen = stops(train=[1.0] * 6, test=[1.0] * 6, hold=3)
    assert (seen.mem, seen.grok, seen.sustained, seen.peak) == (0, 0, 0, 0)


def test_grokking_may_come_before_memorization():
    seen = stops(train=[0.1, 0.1, 0.1, 1.0, 1.0, 1.0], test=[0.1, 1.0, 1.0, 1.0, 1.0, 1.0])
    assert (seen.grok, seen.mem) == (1, 3)


# --- Grokking for good ------------------------------------------------------------------------


def test_a_dip_starts_the_count_again():
    test = [0.1, 1.0, 1.0, 0.9, 1.0, 1.0, 1.0, 0.0]
    seen = stops(test=test, rho2=[1.0] * 8, hold=3)
    assert (seen.grok, seen.sustained) == (1, 4)


def test_a_run_that_ends_too_early_has_not_grokked_for_good():
    test = [0.1, 0.1, 0.1, 0.1, 1.0, 1.0]
    assert stops(test=test, hold=2).sustained == 4
    assert stops(test=test, hold=3).sustained is None
    assert stops(test=test, hold=3).grok == 4


def test_nothing_holds_longer_than_the_run():
    assert stops(test=[1.0] * 6, hold=6).sustained == 0
    assert stops(test=[1.0] * 6, hold=7).sustained is None


@given(st.lists(st.booleans(), min_size=1, max_size=12), st.integers(1, 6))
def test_held_is_a_row_of_trues(seen, hold):
    rows = [all(seen[i : i + hold]) for i in range(len(seen) - hold + 1)]
    assert held(np.array(seen), hold).tolist() == rows


@given(st.lists(st.booleans(), max_size=12))
def test_first_is_the_index_of_the_first_true(seen):
    assert first(np.array(seen, bool)) == (seen.index(True) if True in seen else None)


# --- Norm peak --------------------------------------------------------------------------------


def test_the_peak_of_equals_is_the_first():
    assert stops(rho2=[1.0, 3.0, 2.0, 3.0, 3.0, 0.0]).peak == 1


def test_the_peak_is_sought_up_to_grokking():
    rho2 = [1.0, 4.0, 3.0, 2.0, 5.0, 6.0]
    assert stops(rho2=rho2, test=[0.1, 0.1, 0.1, 1.0, 0.1, 0.1]).peak == 1
    assert stops(rho2=rho2, test=[0.1, 0.1, 0.1, 0.1, 1.0, 0.1]).peak == 4


def test_without_grokking_the_peak_is_that_of_the_whole_run():
    assert stops(rho2=[1.0, 4.0, 3.0, 2.0, 5.0, 6.0]).peak == 5


# --- Entry into the core ----------------------------------------------------------------------


def test_the_core_is_entered_after_the_peak():
    assert core_entry([1.0, 5.0, 9.0, 5.0, 4.0, 3.0], 4.0, peak=2) == 4


def test_a_run_that_stays_outside_never_enters():
    assert core_entry([1.0, 5.0, 9.0, 5.0], 4.0, peak=2) is None


def test_a_run_that_was_never_outside_is_inside_at_its_peak():
    assert core_entry([1.0, 2.0, 3.0, 2.0], 4.0, peak=2) == 2


def test_the_edge_belongs_to_the_core():
    assert core_entry([5.0, 4.0, 3.0], 4.0, peak=0) == 1


def test_steps_without_an_evaluation_are_passed_over():
    assert core_entry([9.0, np.nan, 5.0, np.nan, 3.0], 4.0, peak=0) == 4
    assert core_entry([9.0, np.nan, np.nan], 4.0, peak=0) is None


# --- Thresholds -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("train_accuracy", 0.0),
        ("train_accuracy", 99),
        ("test_accuracy", 1.01),
        ("test_accuracy", "high"),
        ("hold", 0),
        ("hold", 1.5),
    ],
)
def test_a_threshold_out_of_range_is_an_error(field, value):
    with pytest.raises(ParameterError) as error:
        Thresholds(**{field: value})
    assert error.value.field == field
