"""Run a scan again and again, each time killed at a random moment; print what was there after it.

A process of its own, so that it forks without other threads.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from sde_grok.scans import open_scan, read_scan, scan


def main(plan_file, out, kills, longest):
    plan, moments = read_scan(Path(plan_file)), random.Random(5)
    for _ in range(int(kills)):
        child = os.fork()
        if child == 0:
            scan(plan, out=Path(out), workers=2)
            os._exit(0)
        time.sleep(moments.uniform(0, float(longest)))
        os.kill(child, signal.SIGKILL)
        _, ended = os.waitpid(child, 0)
        print(json.dumps({"killed": os.WIFSIGNALED(ended), "done": cells_done(out)}), flush=True)


def cells_done(out):
    """Count the cells in a process of its own: reading starts threads, which forks do not bear."""
    here, there = os.pipe()
    if os.fork() == 0:
        done = 0
        if (Path(out) / "scan.zarr").exists():
            done = int((open_scan(Path(out))["n_paths"] > 0).sum())
        os.write(there, str(done).encode())
        os._exit(0)
    done = int(os.read(here, 20))
    os.wait()
    os.close(here)
    os.close(there)
    return done


if __name__ == "__main__":
    main(*sys.argv[1:])
