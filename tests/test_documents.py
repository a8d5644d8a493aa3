"""README's commands and code run; the project's text speaks of itself alone."""

import json
import re
import subprocess
import sys
from pathlib import Path

from sde_grok.results import Estimate

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_python_blocks_of_the_readme_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) >= 3
    names = {}
    for block in blocks:
        exec(block, names)  # noqa: S102
    assert names["result"].hit_fraction == 1


def test_the_two_commands_are_one_line_each():
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("sde-grok validate")
    assert commands[1].endswith("-m pytest")


def test_files_that_the_readme_shows_exist():
    for path in re.findall(r"\]\((?!http)([^)]+)\)", README):
        assert (ROOT / path).is_file(), path


def test_the_verdicts_of_the_readme_are_those_of_the_committed_run():
    run = json.loads((ROOT / "theory" / "results" / "validate.json").read_text("utf-8"))
    assert run["provenance"]["preset"] == "full"
    assert run["failures"] == []
    lines = README.splitlines()
    for row in run["verdicts"]:
        numbers = (shown(row[name]) for name in ("closed_form", "simulated", "network"))
        claim = row["claim"].rstrip(".").replace("|", r"\|")
        cells = (claim, *numbers, row["verdict"])
        assert f"| {' | '.join(cells)} |" in lines


def shown(number):
    """A number of validate.json as the README prints it."""
    return "–" if number is None else str(Estimate(**number)).replace("-", "−")


def test_importing_the_package_is_light():
    code = (
        "import sys, sde_grok; "
        "print([m for m in ('numba', 'scipy', 'matplotlib', 'rich', 'jax') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
