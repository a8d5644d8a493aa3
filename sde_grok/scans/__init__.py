"""Parameter scans of simulations and of network runs: planned, run on threads or machines, kept as they end."""

from sde_grok.scans.execute import ScanInterrupted, ScanProgress, open_scan, scan
from sde_grok.scans.landscapes import LandscapeScan
from sde_grok.scans.plan import Scan, read_scan

__all__ = [
    "LandscapeScan",
    "Scan",
    "ScanInterrupted",
    "ScanProgress",
    "open_scan",
    "read_scan",
    "scan",
]
