"""The claims of `theory/`: their registry, and what each script finds."""

from __future__ import annotations

import importlib
import importlib.util
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sde_grok.checks import ParameterError
from sde_grok.claims import Verdict
from sde_grok.validate.seeds import derived_seed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Claim", "check_claims", "load_claims", "missing_packages", "theory_folder"]

PLACE = 100  # of the claims among the parts of a validation
PACKAGE = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Claim:
    """An entry of `theory/claims.toml`.

    Attributes
    ----------
    id : str
        Short name, which the script, the law's docstring and the figure carry.
    statement : str
        The claim in a sentence.
    provenance : str
        "claimed" (by a paper, as reported), "derived" (from the model here) or "measured" (here, a
        regularity of networks that no derivation gives).
    law : str
        Dotted name of the function that states it.
    script : str
        File in `theory/` whose `check(law, seed=…)` returns the verdict.
    figure : str
        File in `theory/figures/`, made by the script's `figure(data)`; empty if there is none.
    """

    id: str
    statement: str
    provenance: str
    law: str
    script: str
    figure: str = ""

    def law_function(self) -> Callable[..., Any]:
        """Import the law."""
        module, _, name = self.law.rpartition(".")
        function: Callable[..., Any] = getattr(importlib.import_module(module), name)
        return function

    def module(self) -> ModuleType:
        """Load the script."""
        path = theory_folder() / self.script
        spec = importlib.util.spec_from_file_location(f"sde_grok_theory_{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    def check(self, seed: int) -> tuple[Verdict, Figure | None]:
        """Run the script on the registered law; the figure, if it has one, in the current style."""
        module = self.module()
        verdict: Verdict = module.check(self.law_function(), seed=seed)
        return verdict, module.figure(verdict.data) if self.figure else None


def theory_folder() -> Path:
    """Folder of the scripts: inside an installed package, or beside it in a checkout."""
    for folder in (PACKAGE / "theory", PACKAGE.parent / "theory"):
        if (folder / "claims.toml").is_file():
            return folder
    raise ParameterError("theory", str(PACKAGE.parent / "theory"), "a folder with claims.toml")


def load_claims() -> list[Claim]:
    """Read the registry."""
    text = (theory_folder() / "claims.toml").read_text("utf-8")
    return [Claim(**entry) for entry in tomllib.loads(text)["claim"]]


def missing_packages() -> list[str]:
    """Packages that the scripts need beyond the core ones, and that are not installed."""
    return [name for name in ("sympy",) if importlib.util.find_spec(name) is None]


def check_claims(
    claims: Sequence[Claim], seed: int
) -> Iterator[tuple[Claim, Verdict, Figure | None]]:
    """Run the scripts in turn, with a seed of its own each, which does not depend on the others."""
    for claim in claims:
        yield claim, *claim.check(derived_seed(seed, PLACE, *claim.id.encode()))
