"""Tables of the tasks: against loops, by the axioms of their groups, and names that there are not."""

import math
import re

import naive_networks
import numpy as np
import pytest

from sde_grok.checks import ParameterError
from sde_grok.networks.tasks import task_table

TABLES = {
    "z2": naive_networks.addition(2),
    "z7": naive_networks.addition(7),
    "z12": naive_networks.addition(12),
    "z7-mul": naive_networks.multiplication(7),
    "z12-mul": naive_networks.multiplication(12),
    "z2-div": naive_networks.division(2),
    "z7-div": naive_networks.division(7),
    "z11-div": naive_networks.division(11),
    "s2": naive_networks.composition(2),
    "s3": naive_networks.composition(3),
    "s4": naive_networks.composition(4),
    "parity-1-1": naive_networks.parity(1, 1),
    "parity-5-3": naive_networks.parity(5, 3),
    "parity-6-6": naive_networks.parity(6, 6),
}


def as_dict(name):
    """The table as {inputs: target}."""
    table = task_table(name)
    return dict(zip(map(tuple, table.inputs.tolist()), table.targets.tolist(), strict=True))


def as_matrix(name):
    """The table as (x, y) ↦ target."""
    table = task_table(name)
    matrix = np.full((table.vocabulary, table.vocabulary), -1)
    matrix[tuple(table.inputs.T)] = table.targets
    return matrix


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_that_of_a_loop_over_all_inputs(name):
    assert as_dict(name) == TABLES[name]
    assert len(task_table(name).targets) == len(TABLES[name])


@pytest.mark.parametrize("name", [*TABLES, "s5", "z113", "parity-10-3"])
def test_tokens_and_classes_are_those_that_occur(name):
    table = task_table(name)
    assert (table.inputs.dtype, table.targets.dtype) == (np.int32, np.int32)
    assert np.array_equal(np.unique(table.inputs), np.arange(table.vocabulary))
    assert np.array_equal(np.unique(table.targets), np.arange(table.classes))


@pytest.mark.parametrize("n", [3, 4])
def test_permutations_are_a_group_that_does_not_commute(n):
    xy = as_matrix(f"s{n}")
    everyone = np.arange(math.factorial(n))
    assert np.array_equal(xy[xy], xy[:, xy])  # (xy)z = x(yz)
    assert np.array_equal(xy[0], everyone)  # the first in lexicographic order
    assert np.array_equal(xy[:, 0], everyone)
    assert np.array_equal(np.sum(xy == 0, axis=0), np.ones(len(xy)))
    assert np.array_equal(np.sum(xy == 0, axis=1), np.ones(len(xy)))
    assert not np.array_equal(xy, xy.T)


@pytest.mark.parametrize(("n", "involutions"), [(3, 3), (4, 9)])
def test_as_many_permutations_undo_themselves_as_combinatorics_says(n, involutions):
    """Transpositions, and in S₄ three double ones."""
    undone = np.diag(as_matrix(f"s{n}")) == 0
    assert np.sum(undone[1:]) == involutions


@pytest.mark.parametrize("p", [2, 7, 11])
def test_division_is_the_inverse_of_multiplication(p):
    product, quotient = as_dict(f"z{p}-mul"), as_dict(f"z{p}-div")
    assert len(quotient) == p * (p - 1)
    for (x, y), z in quotient.items():
        assert product[z, y] == x
        assert quotient[product[x, y], y] == x


@pytest.mark.parametrize(("n", "k"), [(5, 3), (6, 1), (7, 7)])
def test_parity_flips_with_each_relevant_bit_and_with_no_other(n, k):
    target = as_dict(f"parity-{n}-{k}")
    assert len(target) == 2**n
    for bits, parity in target.items():
        for i in range(n):
            flipped = (*bits[:i], 1 - bits[i], *bits[i + 1 :])
            assert (target[flipped] != parity) == (i < k)


UNKNOWN = [
    "",
    "z",
    "z1",
    "z0",
    "z1001",
    "z-7",
    "z59x",
    " z59",
    "z59\n",
    "Z59",
    "z6-div",
    "z1-div",
    "z7-add",
    "z7-",
    "s1",
    "s7",
    "s9",
    "s10",
    "parity-3-5",
    "parity-20-2",
    "parity-3-0",
    "parity-3",
    "parity--3-1",
    "z²",
    "z٧",  # seven, in Arabic
    None,
    59,
]


@pytest.mark.parametrize("name", [*UNKNOWN, pytest.param("z" + 5000 * "9", id="z99999…")])
def test_other_names_are_refused_in_one_line_that_lists_the_forms(name):
    with pytest.raises(ParameterError) as error:
        task_table(name)
    assert error.value.field == "task"
    assert "\n" not in str(error.value)
    for form in ("z<p>", "z<p>-mul", "z<p>-div", "s<n>", "parity-<n>-<k>"):
        assert re.search(rf"{form}[ ,]", str(error.value))
