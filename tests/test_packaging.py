"""What users install, seen from another directory: the wheel, built from the source archive, and the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("models", "datasets", "state_dicts", "train", "bo")
DATA = {".yaml", ".json", ".safetensors", ".csv", ".gz", ".npz", ".typed", ".png"}
PROBE = f"""
import json, sys
from importlib import import_module
from importlib.metadata import distribution
from importlib.resources import files
import graphnas
names = [f"graphnas.{{folder}}" for folder in {FOLDERS}]
print(json.dumps({{
    "version": graphnas.__version__,
    "metadata": distribution("graphnas").version,
    "files": [import_module(name).__file__ for name in ["graphnas", *names]],
    "recipes": [path.name for path in files("graphnas.train").joinpath("recipes").iterdir()],
    "cards": import_module("graphnas.state_dicts").list_pretrained(),
    "pretrained": graphnas.create_model("svge", "nb201", pretrained=True).num_parameters,
    "bare": [name for name in {FOLDERS} if name in sys.modules],
}}))
"""


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def left_out(folder: str, names: list[str]) -> set[str]:
    """What a fresh clone does not have."""
    generated = shutil.ignore_patterns("__pycache__", "*.egg-info")(folder, names)
    at_root = {name for name in names if name.startswith(".") or name in ("build", "dist", "data", "runs")}
    return generated | (at_root if Path(folder) == ROOT else set())


def data_files(root: Path) -> set[str]:
    """Paths below the package of everything it ships besides code."""
    found = set()
    for folder in ("graphnas", *FOLDERS):
        inside = "graphnas" if folder == "graphnas" else f"graphnas/{folder}"
        paths = (path for path in (root / folder).rglob("*") if path.suffix in DATA and path.resolve() == path)
        found |= {f"{inside}/{path.relative_to(root / folder).as_posix()}" for path in paths}
    return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that builds leave nothing behind in it."""
    copy = tmp_path_factory.mktemp("checkout") / "graphnas"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=left_out)
    return copy.resolve()


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", source.parent / "dist", source, cwd=source.parent)
    (built,) = (source.parent / "dist").glob("*.whl")
    return built


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A new virtual environment that sees the packages of this one, but not its graphnas."""
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv", cwd=tmp_path)
    (site,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    shared = tmp_path / "shared"
    shared.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if "graphnas" not in entry.name and entry.suffix != ".pth":
            (shared / entry.name).symlink_to(entry)
    (site / "shared.pth").write_text(f"{shared}\n")
    return tmp_path / "venv"


def install(environment: Path, *what: str | Path) -> tuple[dict[str, object], set[str]]:
    """Installs, and returns what the probe says from another directory and the new entries of site-packages."""
    (site,) = environment.glob("lib/python*/site-packages")
    before = {entry.name for entry in site.iterdir()}
    python, elsewhere = environment / "bin" / "python", environment.parent / "elsewhere"
    elsewhere.mkdir()
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--disable-pip-version-check")
    run(sys.executable, "-m", "pip", "--python", python, "install", *options, *what, cwd=elsewhere)
    report: dict[str, object] = json.loads(run(python, "-c", PROBE, cwd=elsewhere))
    if find_spec("graphnas.cli") is not None:
        assert "usage" in run(environment / "bin" / "graphnas", "--help", cwd=elsewhere).lower()
    return report, {entry.name for entry in site.iterdir()} - before - {"__pycache__"}


def check(report: dict[str, object], home: Path) -> None:
    assert report["version"] == report["metadata"]
    files = report["files"]
    assert isinstance(files, list) and len(files) == 1 + len(FOLDERS)
    assert all(Path(file).resolve().is_relative_to(home.resolve()) for file in files)
    assert report["recipes"] and report["bare"] == []
    assert report["cards"] and isinstance(report["pretrained"], int) and report["pretrained"] > 0


def test_wheel_holds_graphnas_and_its_data_only(wheel: Path, source: Path) -> None:
    names = ZipFile(wheel).namelist()
    info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    assert {name.split("/")[0] for name in names} == {"graphnas", info}
    assert f"{info}/licenses/LICENSE" in names
    expected = data_files(source)
    assert any("/train/" in name and name.endswith(".yaml") for name in expected)
    assert expected - set(names) == set(), "package_data in setup.py misses these"
    code = {name for name in names if name.endswith(".py")}
    assert len(code) == sum(
        1 for folder in ("graphnas", *FOLDERS) for path in (source / folder).rglob("*.py") if path.resolve() == path
    )


def test_wheel_works_from_another_directory(environment: Path, wheel: Path) -> None:
    report, entries = install(environment, wheel)
    check(report, environment)
    assert {name.split("-")[0] for name in entries} == {"graphnas"}


def test_editable_install_works_from_another_directory(environment: Path, source: Path) -> None:
    report, entries = install(environment, "--editable", source)
    check(report, source)
    helpers = {name for name in entries if name.startswith("__editable__")}
    assert helpers and {name.split("-")[0] for name in entries - helpers} == {"graphnas"}
    (finder,) = (name for name in helpers if name.endswith(".pth"))
    (site,) = environment.glob("lib/python*/site-packages")
    assert str(source) not in (site / finder).read_text(), "the checkout itself must not be on sys.path"
