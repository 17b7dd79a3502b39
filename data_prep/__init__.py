"""Problems and traces to token ids: reading, filtering, grading, and the one place that renders a prompt."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

EARLIER = {
    "data_prep.pipeline": "data_prep.filtering.pipeline",
    "data_prep.problems": "data_prep.problem",
    "data_prep.prompts": "data_prep.tokens.prompts",
    "data_prep.sources": "data_prep.traces.sources",
    "data_prep.tokenize": "data_prep.tokens.tokenize",
}
"""earlier names of modules -> current names, for scripts written against earlier releases"""


class _EarlierNames(MetaPathFinder, Loader):
    """Imports the current module for an earlier name."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(fullname, self) if fullname in EARLIER else None

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name, today = module.__name__, EARLIER[module.__name__]
        warnings.warn(f"{name} is now {today}", DeprecationWarning, stacklevel=2)
        sys.modules[name] = import_module(
            today
        )  # the importer takes the module from here, so both names mean the same one


sys.meta_path.append(_EarlierNames())  # last: only for modules that nothing else finds
