"""The five linked folders, and that only `graphnas` is importable."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path
from pkgutil import walk_packages

import pytest

import graphnas

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("models", "datasets", "state_dicts", "train", "bo")


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "graphnas" else ("graphnas", *parts)).removesuffix(".__init__")


SOURCES = {path for folder in ("graphnas", *FOLDERS) for path in (ROOT / folder).rglob("*.py")}
MODULES = sorted({module_name(path.resolve()) for path in SOURCES} - {"graphnas.__main__"})


@pytest.mark.parametrize("folder", FOLDERS)
def test_link_leads_to_its_folder(folder: str) -> None:
    link = ROOT / "graphnas" / folder
    assert link.is_symlink() and str(link.readlink()) == f"../{folder}"
    assert link.resolve() == ROOT / folder and (ROOT / folder / "__init__.py").is_file()
    assert Path(import_module(f"graphnas.{folder}").__path__[0]).resolve() == ROOT / folder


@pytest.mark.parametrize("name", MODULES)
def test_module_imports(name: str) -> None:
    assert import_module(name).__doc__, f"{name} has no docstring"


def test_every_source_file_is_found_as_a_module() -> None:
    found = {module.name for module in walk_packages(graphnas.__path__, "graphnas.")}
    assert {"graphnas", *found} - {"graphnas.__main__"} == set(MODULES), "a folder lacks its __init__.py"


def test_only_graphnas_is_installed() -> None:
    top_level = distribution("graphnas").read_text("top_level.txt")
    assert top_level is not None and top_level.split() == ["graphnas"]


def test_no_folder_is_importable_from_elsewhere(tmp_path: Path) -> None:
    probe = (
        "import sys; from importlib.util import find_spec\n"
        "for name in sys.argv[1:]:\n"
        "    spec = find_spec(name)\n"
        "    print(name, spec and (spec.origin or list(spec.submodule_search_locations)))\n"
    )
    names = [*FOLDERS, "tests", "setup", "benchmarks", "examples", "graphnas"]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run = subprocess.run(
        [sys.executable, "-c", probe, *names], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    found = {line.split()[0] for line in run.stdout.splitlines() if str(ROOT) in line}
    assert found == {"graphnas"}
