"""The table and the figure of the benchmark of scans."""

from __future__ import annotations

from typing import Any

OURS, FLOOR = "sde_grok", "floor: normals alone"

PANELS = (
    (("paths", "cells"), "paths of a cell, cells of a scan", "seconds"),
    (("paths", "cells", "d, reduced", "d, joint"), "paths, cells, d", "megabytes"),
    (("d, radial", "d, reduced", "d, joint"), "dimension d", "seconds"),
    (("1/eta, radial", "1/eta, reduced"), "1/η", "seconds"),
    (("threads", "workers", "Dask workers"), "threads, workers", "seconds"),
)


def figure(report: dict[str, Any]) -> Any:
    """Draw the time to result, and the growths."""
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(7.2, 7.6))
    first, *others = drawing.subplots(3, 2).flat
    bars(first, sorted(report["time_to_result"].items(), key=lambda row: row[1]["seconds"]))
    for axes, (kinds, label, what) in zip(others, PANELS, strict=True):
        curves(axes, {kind: report["growth"][kind] for kind in kinds}, what)
        axes.set(xlabel=label, ylabel={"megabytes": "peak memory [MB]"}.get(what, what))
    processors = [p["value"] for p in report["growth"]["threads"]["points"]]
    others[-1].set_xticks(processors, [str(n) for n in processors])
    others[-1].set_xticks([], minor=True)
    return drawing


def bars(axes: Any, rows: list[tuple[str, dict[str, Any]]]) -> None:
    """Draw a bar for each contender, open where a part was measured."""
    total = dict(rows)[OURS]["cells"]
    for place, (name, row) in enumerate(rows):
        part = row["cells"] < total
        colour = {OURS: "C0", FLOOR: "0.6"}.get(name, "C1")
        axes.barh(place, row["seconds"], color="none" if part else colour, edgecolor=colour)
        note = f" {row['seconds']:.3g} s" + (f" ({row['cells']} cells)" if part else "")
        axes.text(row["seconds"], place, note, va="center", size=7)
    axes.set(xscale="log", xlabel="seconds", yticks=range(len(rows)))
    axes.set_yticklabels([name for name, _ in rows], size=7)
    axes.set_xlim(right=300 * max(row["seconds"] for _, row in rows))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_title(f"{total} cells to 1 %; open: extrapolated", loc="left")


def curves(axes: Any, growths: dict[str, Any], what: str) -> None:
    """Draw growths on log axes; memory below a MB is the allocator's."""
    for kind, found in growths.items():
        points = [p for p in found["points"] if what == "seconds" or p[what] >= 1]
        label = kind.split(", ")[-1] if what == "seconds" else kind
        if what == "seconds":
            label += f", slope {found['slope']:.2f}"
        if points:
            axes.plot([p["value"] for p in points], [p[what] for p in points], "o-", label=label)
    axes.set(xscale="log", yscale="log")
    axes.legend(fontsize=7)


def print_times(rows: dict[str, dict[str, Any]]) -> None:
    """Print the time to result."""
    print(f"{'':22} seconds  / sde_grok        mean off     worst  in s.e.  cells measured")
    for name, row in sorted(rows.items(), key=lambda row: row[1]["seconds"]):
        off = (
            f"{row['mean_deviation']:+7.2%} ± {row['mean_deviation_stderr']:.2%}"
            f"{row['worst_deviation']:10.2%} {row['worst_z']:7.2f}"
            if "worst_z" in row
            else " " * 34
        )
        whole = "" if row["cells"] == rows[OURS]["cells"] else ", extrapolated"
        print(
            f"{name:22}{row['seconds']:8.3g} {row['over_sde_grok']:11.3g} {off}  "
            f"{row['cells']}{whole}"
        )
    print(f"{OURS} in a new process: {rows[OURS]['seconds_in_a_new_process']:.3g} s", flush=True)
