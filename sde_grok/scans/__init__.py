"""Parameter scans of escape simulations: planned, run on threads or machines, kept as they end."""

from sde_grok.scans.execute import ScanInterrupted, ScanProgress, scan
from sde_grok.scans.plan import Scan, read_scan
from sde_grok.scans.store import open_scan

__all__ = ["Scan", "ScanInterrupted", "ScanProgress", "open_scan", "read_scan", "scan"]
