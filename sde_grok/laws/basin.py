"""Two circuits that share a margin: from where paths end in the one that generalizes.

With the margin a_m ρ_m^h + a_g ρ_g^h and the residual r of the loss, in time in units of a
preconditioner that is the same for all coordinates,

    d ln ρ_c/dt = C r h a_c ρ_c^{h−2} − λ,

so that ln(ρ_g/ρ_m) grows exactly while a_g ρ_g^{h−2} > a_m ρ_m^{h−2}, whatever λ, r and the loss are.
Where there are rests, λ <= λ_max of either circuit alone, and the start is not below the barrier, from
where shrinkage takes both to the centre (`sde_grok.laws.margin_barrier`), both rests attract for
h > 2, and the line ρ_g/ρ_m = (a_m/a_g)^{1/(h−2)} parts their basins. For h = 2 the circuit of the larger
a wins from everywhere.
"""

from __future__ import annotations

import math

from scipy.special import betainc, expit

from sde_grok.checks import number
from sde_grok.laws.elementwise import elementwise

__all__ = ["generalizing_fraction"]


@elementwise
def generalizing_fraction(
    rate_ratio: float, *, degree: float, dim_memorizing: float, dim_generalizing: float
) -> float:
    """Part of the init shell from which paths end in the generalizing circuit (see the module).

    From a start that is uniform on a sphere, x = ρ_g²/ρ² is distributed as Beta(d_g/2, d_m/2), and
    the part is P[x > 1/(1 + (a_g/a_m)^{2/(h−2)})].

    Parameters
    ----------
    rate_ratio : float
        a_g/a_m > 0.
    degree : float
        Degree of homogeneity h > 2.
    dim_memorizing, dim_generalizing : float
        Numbers d_m and d_g > 0 of coordinates.

    Returns
    -------
    float
        Between 0 and 1. Arrays broadcast.

    Raises
    ------
    ParameterError
        If a parameter is out of range.

    Notes
    -----
    Claim `grokking-edge`. Provenance: derived; DLMF 8.17 (incomplete beta function). It assumes one preconditioner, as
    noise makes it that is alike in all coordinates; rests, and a start beyond the barrier; and so little noise
    that the start is above its floor and no path is carried across.
    """
    ratio = number("rate_ratio", rate_ratio, low=0, open_low=True)
    degree = number("degree", degree, low=2, open_low=True)
    d_m = number("dim_memorizing", dim_memorizing, low=0, open_low=True)
    d_g = number("dim_generalizing", dim_generalizing, low=0, open_low=True)
    beyond = expit(2 / (degree - 2) * math.log(ratio))  # 1 − x on the line
    return float(betainc(d_m / 2, d_g / 2, beyond))  # I_{1−x}(b, a) = 1 − I_x(a, b)
