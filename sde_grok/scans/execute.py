"""Run a scan: the costliest cells first, on threads of this machine or on a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from sde_grok.checks import ParameterError
from sde_grok.folders import NETWORKS, SCAN, alone
from sde_grok.scans.grid import Grid
from sde_grok.scans.pool import Task, executor, run_all
from sde_grok.scans.simulations import Simulations
from sde_grok.scans.store import open_cells

if TYPE_CHECKING:
    import xarray as xr

    from sde_grok.scans.landscapes import LandscapeScan
    from sde_grok.scans.networks import NetworkScan
    from sde_grok.scans.plan import Scan

__all__ = ["ScanInterrupted", "ScanProgress", "open_scan", "scan"]


class ScanProgress(NamedTuple):
    """What was done so far.

    Attributes
    ----------
    done, n_cells : int
        Cells that are there, and cells in all; runs, of networks.
    fraction : float
        Part of the work that is done, by its expected cost.
    damaged : int
        Cells that were found damaged and are done again.
    """

    done: int
    n_cells: int
    fraction: float
    damaged: int


class ScanInterrupted(KeyboardInterrupt):
    """A scan was stopped by Ctrl-C; the cells that were finished are kept in `out`."""

    def __init__(self, progress: ScanProgress, out: Path) -> None:
        self.progress = progress
        super().__init__(f"interrupted: {kept(progress, out)}")


def kept(progress: ScanProgress, out: Path) -> str:
    """What is there after a stop."""
    cells = f"{progress.done} of {progress.n_cells} cells"
    return f"{cells} are kept in {out}; the same command goes on"


def scan(
    plan: Scan | LandscapeScan | NetworkScan,
    *,
    out: Path,
    workers: int | None = None,
    scheduler: str | None = None,
    progress: Callable[[ScanProgress], None] | None = None,
) -> xr.Dataset:
    """Do every cell of a scan that is not yet in the folder: simulate it, or train its runs.

    Parameters
    ----------
    plan : Scan, LandscapeScan or NetworkScan
        The cells; of networks, each run is one.
    out : Path
        Folder to keep the cells in, each as soon as it ends: scan.zarr, or runs.zarr as
        `train_networks` has it, in a folder for each network if there are more. Cells that it holds
        already are not done again; damaged ones are.
    workers : int, optional
        Cells at a time on this machine; by default one a processor.
    scheduler : str, optional
        Address of a Dask scheduler, tcp://…, whose workers do the cells instead.
    progress : callable, optional
        Called ten times a second with a `ScanProgress`.

    Returns
    -------
    Dataset
        See `open_scan`.

    Raises
    ------
    ParameterError
        If `out` holds another scan, cannot be written to, or another process is at work in it; if
        the scheduler cannot be reached, or its workers run other versions.
    ScanInterrupted
        On Ctrl-C.
    OSError
        If a cell cannot be written. Those written before are kept.

    Notes
    -----
    A cell gives the same bits wherever it is run, on processors of one kind: compiled code uses the
    instructions that the processor has.
    """
    if scheduler is not None and workers is not None:
        raise ParameterError("workers", workers, "left out with a scheduler, which has its own")
    kind = kind_of(plan)
    with executor(workers, scheduler, plan.n_cells, kind.setup) as pool, alone(out):
        if progress is not None:  # looking through many cells takes its time
            progress(ScanProgress(0, plan.n_cells, 0.0, 0))
        work: Work = kind(plan, out)
        total = sum(work.costs.values())
        left = sum(work.costs[cell] for cell in work.missing)
        waiting = sorted(work.missing, key=lambda cell: (-work.costs[cell], cell))

        def put(cell: Any, result: Any) -> None:
            nonlocal left
            work.put(cell, result)
            left -= work.costs[cell]

        def seen() -> ScanProgress:
            done = plan.n_cells - len(work.missing)
            return ScanProgress(done, plan.n_cells, 1 - left / total, len(work.damaged))

        def tick() -> None:
            if progress is not None:
                progress(seen())

        try:
            run_all(pool, ((cell, work.task(cell, pool.threads)) for cell in waiting), put, tick)
        except KeyboardInterrupt:
            raise ScanInterrupted(seen(), out) from None
        except OSError as error:
            raise OSError(f"{error.strerror or error}: {kept(seen(), out)}") from error
        return work.finish()


class Work(Protocol):
    """What a scan has to do: cells, each done once, wherever.

    `setup` is what must be the same wherever a cell is done; `costs` are of all cells; `damaged`
    are those that were there and have to be done again.
    """

    setup: Callable[[], Mapping[str, Any]]
    costs: Mapping[Any, float]

    @property
    def missing(self) -> Collection[Any]: ...
    @property
    def damaged(self) -> Collection[Any]: ...
    def task(self, cell: Any, threads: int) -> Task: ...
    def put(self, cell: Any, result: Any) -> None: ...
    def finish(self) -> xr.Dataset: ...


def kind_of(plan: Scan | LandscapeScan | NetworkScan) -> Any:
    """What does the work of a plan; what networks need is loaded for them alone."""
    if isinstance(plan, Grid):
        return Simulations
    from sde_grok.scans.networks import Trainings  # noqa: PLC0415

    return Trainings


def open_scan(out: Path) -> xr.Dataset:
    """Read the scan in a folder, finished or not.

    Parameters
    ----------
    out : Path
        Folder that `scan` was given.

    Returns
    -------
    Dataset
        Of simulations, dimensions are the swept axes (or "cell", if they are paired) and `path`.
        Paths are read when they are asked for; means with their standard errors are there, nan for
        a cell that is not. Damaged cells count as not there. Of networks, dimensions are those of
        `train_networks`, and the other swept axes (or "cell").

    Raises
    ------
    ParameterError
        If there is no scan, or it is damaged.
    """
    if (out / SCAN).exists() or not (out / NETWORKS).exists():
        return open_cells(out)
    from sde_grok.scans.networks import open_network_scan  # noqa: PLC0415

    return open_network_scan(out)
