"""`sde-grok fit`: exponents and laws, fitted to runs or simulated paths."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sde_grok.cli.app import ended_by_ctrl_c, option

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sde_grok.fits.competition import LawFit
    from sde_grok.fits.exponents import Bootstrap, ExponentFit
    from sde_grok.fits.sample import Sample

__all__ = ["fit"]

WHAT, HOW = "What is fitted", "How"
MOST = 10.0  # errors beyond are only said to be so
SYMBOLS = {"eta": "η", "lam": "λ", "batch_size": "b"}


def fit(
    data: Annotated[
        Path, typer.Argument(help="CSV file with one row a run, or folder of a train or a scan.")
    ],
    where: Annotated[
        str | None, option("Rows to fit, a condition on the columns as pandas reads it.", WHAT)
    ] = None,
    response: Annotated[
        str, option("delay, t_grok, t_mem, rho2_mem, …, or an expression of the columns.", WHAT)
    ] = "delay",
    method: Annotated[
        str, option("aft (survival model: censored rows count) or ols (least squares).", HOW)
    ] = "aft",
    law: Annotated[
        list[str] | None, option("A law to compete, again for more; by default all that suit.", HOW)
    ] = None,
    bootstrap: Annotated[
        int, option("Draws of cells for exponents' limits beside the model's own; 0: none.", HOW)
    ] = 0,
    out: Annotated[
        Path | None, typer.Option(help="Folder for a figure: competition.png and .pdf.")
    ] = None,
    as_json: Annotated[bool, option("Print one JSON object.", HOW, "--json")] = False,
) -> None:
    """Fit exponents of η, λ and b, and let the laws of the literature compete.

    The power law is C η^p λ^q b^r. Runs that never grok, and paths that never escape, are censored:
    their time is longer than what was seen. A survival model takes that into account; least squares
    leaves them out, which makes exponents too small. Laws are fitted to what was not censored.

    The error of a fit is the mean of |prediction − y|/y over rows that are not censored: where it
    was fitted, and held out, on one value of an axis after the other. No fit is much better than
    the scatter of seeds.

    Columns are those of the file, lam, and delay, t_grok, t_mem in steps. A condition on T_grok
    leaves out the runs that never grok.

    Example: `sde-grok fit runs.csv --where 'task == "z127" and lam <= 3e-4'
    --response "delay / log(rho2_mem / rho2_grok)" --method ols`
    """
    from sde_grok.checks import integer  # noqa: PLC0415
    from sde_grok.fits import (  # noqa: PLC0415
        bootstrap_exponents,
        fit_exponents,
        load_table,
        sample,
    )

    if bootstrap:
        integer("bootstrap", bootstrap, low=2)
    with ended_by_ctrl_c():
        rows = sample(load_table(data), where=where, response=response, event_only=method == "ols")
        say_left_out(rows)
        found = fit_exponents(rows, method=method)
        drawn = bootstrap_exponents(found, rows, n=bootstrap) if bootstrap else None
        fits, floor = competition(rows, law)
        say_unfitted(rows)
        report = summary(rows, found, method, fits, floor, drawn)
        if out is not None:
            write_figure(fits, floor, out)
    if as_json:
        print(json.dumps(finite(report), allow_nan=False))
    else:
        print_exponents(report)
        print_laws(report)


def competition(rows: Sample, names: list[str] | None) -> tuple[dict[str, LawFit], float]:
    """Laws fitted, and the scatter of seeds."""
    from sde_grok.fits.competition import compete, seed_floor  # noqa: PLC0415

    return compete(rows, names or None), seed_floor(rows)


def say_left_out(rows: Sample) -> None:
    """Print on stderr, in a line, which rows were left out."""
    if rows.left_out:
        reasons = "; ".join(f"{n}: {reason}" for reason, n in rows.left_out.items())
        print(f"warning: {sum(rows.left_out.values())} rows left out ({reasons})", file=sys.stderr)


def say_unfitted(rows: Sample) -> None:
    """Print on stderr, in a line, which settings vary beside the axes."""
    from sde_grok.fits import unfitted  # noqa: PLC0415

    if names := unfitted(rows):
        verb = "varies and is" if len(names) == 1 else "vary and are"
        print(f"warning: {', '.join(names)} {verb} not fitted; --where chooses", file=sys.stderr)


def summary(
    rows: Sample,
    found: ExponentFit,
    method: str,
    fits: Mapping[str, LawFit],
    floor: float,
    drawn: Bootstrap | None,
) -> dict[str, Any]:
    """What `--json` prints; censored rows count in n also where least squares left them out."""
    from sde_grok.fits.exponents import fit_exponents, held_out, mape  # noqa: PLC0415

    unused = rows.left_out.get("censored", 0)
    return {
        "response": rows.response,
        "method": method,
        "n": rows.y.size + unused,
        "n_censored": int((~rows.event).sum()) + unused,
        "n_left_out": dict(rows.left_out),
        "exponents": exponents(found),
        "exponents_by_cell": by_axis(found.names, low=found.low_by_cell, high=found.high_by_cell),
        "exponents_ols": exponents(fit_exponents(rows, method="ols")),
        "exponents_bootstrap": limits(drawn) if drawn else None,
        "constant": found.constant,
        "scale": found.scale,
        "distribution": found.distribution,
        "mape_in_sample": mape(found, rows),
        "mape_held_out": held_out(found, rows),
        "seed_floor": floor,
        "laws": {name: law._asdict() for name, law in fits.items()},
    }


def exponents(found: ExponentFit) -> dict[str, dict[str, float]]:
    """Exponents with their limits, by axis."""
    return by_axis(found.names, estimate=found.estimate, low=found.low, high=found.high)


def limits(drawn: Bootstrap) -> dict[str, Any]:
    """Bootstrap limits by axis."""
    found = by_axis(drawn.names, low=drawn.low, high=drawn.high)
    return {**found, "draws": len(drawn.draws), "redrawn": drawn.redrawn}


def by_axis(names: tuple[str, ...], **columns: Any) -> dict[str, Any]:
    """Plain numbers of each axis, from columns with an entry an axis."""
    return {
        name: {key: float(values[place]) for key, values in columns.items()}
        for place, name in enumerate(names)
    }


def finite(value: Any) -> Any:
    """The same with null for what is not finite."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_exponents(report: dict[str, Any]) -> None:
    """Print the power law."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    drawn = report["exponents_bootstrap"] or {}
    table = Table(
        title=f"Exponents of {report['response']}",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for name in ("axis", "exponent", "95 % by row", "95 % by cell", "bootstrap", "OLS"):
        if name != "bootstrap" or drawn:
            table.add_column(name, justify="right", no_wrap=True)
    for name, e in report["exponents"].items():
        digits = max(3, 1 - math.floor(math.log10(max(e["high"] - e["low"], 1e-6))))
        ols = report["exponents_ols"].get(name)
        table.add_row(
            SYMBOLS[name],
            f"{e['estimate']:.{digits}f}",
            interval(e, digits),
            interval(report["exponents_by_cell"][name], digits),
            *([interval(drawn[name], digits)] if drawn else []),
            f"{ols['estimate']:.{digits}f}" if ols else "–",
        )
    Console().print(table)
    print(
        f"{report['n']} rows, {report['n_censored']} censored; noise: {report['distribution']}, "
        f"scale {report['scale']:.3g}\n"
        f"error {percent(report['mape_in_sample'])}, held out {percent(report['mape_held_out'])}; "
        f"scatter of seeds {percent(report['seed_floor'])}"
    )
    print("By row: as if rows were independent. By cell: rows of a cell share what the law misses.")


def interval(limits: Mapping[str, float], digits: int) -> str:
    """Low … high; a dash if nothing is known."""
    if not math.isfinite(limits["low"]):
        return "–"
    return f"{limits['low']:.{digits}f} … {limits['high']:.{digits}f}"


def print_laws(report: dict[str, Any]) -> None:
    """Print the laws that competed, the best first."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    if not report["laws"]:
        return
    table = Table(
        title="Laws, fitted to the same rows",
        caption="1 cell: error on the others, with the constant from the middle one.",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("law", no_wrap=True)
    for name in ("error", "95 %", "held out", "1 cell"):
        table.add_column(name, justify="right", no_wrap=True)
    for name, law in report["laws"].items():
        low, high = law["mape_in_sample_low"], law["mape_in_sample_high"]
        errors = (law[f"mape_{which}"] for which in ("held_out", "one_cell"))
        spread = f"{percent(low).removesuffix(' %')} … {percent(high)}"
        table.add_row(name, percent(law["mape_in_sample"]), spread, *map(percent, errors))
    Console().print(table)
    for name, law in report["laws"].items():
        if law["constants"]:
            each = (f"{SYMBOLS.get(key, key)} {x:.3g}" for key, x in law["constants"].items())
            print(f"{name}: {', '.join(each)}")


def percent(x: float) -> str:
    """An error in percent; a dash if it is not known."""
    if math.isnan(x):
        return "–"
    if x > MOST:
        return "never" if math.isinf(x) else f"> {100 * MOST:.0f} %"
    return f"{100 * x:.1f} %" if x < 1 else f"{100 * x:.0f} %"


def write_figure(fits: Mapping[str, LawFit], floor: float, out: Path) -> None:
    """Draw the competition."""
    from sde_grok.fits.figures import competition_figure  # noqa: PLC0415
    from sde_grok.plotting import paper_style, save_figure  # noqa: PLC0415

    with paper_style():
        figure = competition_figure(fits, floor)
        out.mkdir(parents=True, exist_ok=True)
        save_figure(figure, out / "competition")
