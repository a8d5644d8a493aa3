"""Small scans that tests share, and the bytes that a store is made of."""

from sde_grok.scans import Scan

BASE = {"dim": 3, "rho_start": 2.0, "rho_core": 1.0, "lam": 1.0, "decay": "decoupled", "sigma": 2.0}
AXES = {"eta": [0.005, 0.01], "batch_size": [4, 8, 16]}
SMALL = Scan(base=BASE, axes=AXES, paths=40, seed=7)
SHELL = """
[base]
dim = 3
rho_start = 2.0
rho_core = 1.0
lam = 1.0
decay = "decoupled"
sigma = 2.0
"""
TOML = f"""
paths = 40
seed = 7
{SHELL}
[axes]
eta = [0.005, 0.01]
batch_size = [4, 8, 16]
"""
MANY = f"""
paths = 2000
seed = 2
{SHELL}
system = "joint"
[axes]
eta = {{ log = [0.002, 0.004], n = 5 }}
batch_size = [4, 8, 16, 32]
"""


def tree(out):
    """Bytes of all files of a store by their path."""
    root = out / "scan.zarr"
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
