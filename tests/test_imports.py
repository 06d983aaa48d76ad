"""Imports go one way, no search space is special-cased, nothing unsafe is executed: read from the syntax trees."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("models", "datasets", "state_dicts", "train", "bo")
ROOTS = {"children", "errors", "registry", "paths"}  # plumbing that stands on nothing
FILES = {"download", "lock", "pickle_arrays", "pickles", "sources"}  # getting and reading what others made
SHARED = ROOTS | FILES | {"checkpoint", "device", "metrics", "plot", "run_folder", "state_dicts"}
LEARNING = SHARED | {"spaces", "tables", "networks", "datasets", "models", "train"}

# part of the package -> parts it may import; a part is a folder or a module directly in graphnas/
MAY_IMPORT: dict[str, set[str]] = {
    **{name: ROOTS for name in ROOTS},
    **{name: ROOTS | FILES for name in FILES},
    **{name: SHARED | {"spaces"} for name in SHARED - ROOTS - FILES},
    "spaces": ROOTS,
    "tables": SHARED | {"spaces"},
    "networks": SHARED | {"spaces"},
    "datasets": SHARED | {"spaces", "tables"},
    "models": SHARED | {"spaces"},
    "train": SHARED | {"spaces", "tables", "datasets", "models"},
    "bo": LEARNING,
    "testing": LEARNING | {"bo"},
    **dict.fromkeys(("cli", "commands"), LEARNING | {"bo", "testing", "cli", "commands"}),
}
SOURCES = sorted(
    path for folder in ("graphnas", *FOLDERS) for path in (ROOT / folder).rglob("*.py") if path.resolve() == path
)
SCRIPTS = sorted(path for folder in ("examples", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts if parts[0] == "graphnas" else ("graphnas", *parts)).removesuffix(".__init__")


def part_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


MODULES = {name_of(path): ast.parse(path.read_text(encoding="utf-8"), str(path)) for path in SOURCES}
LIBRARY = {name: tree for name, tree in MODULES.items() if part_of(name) not in ("", "__main__")}
WITHOUT_COMMANDS = {name: tree for name, tree in LIBRARY.items() if part_of(name) not in ("cli", "commands")}
OUTSIDE_SPACES = {name: tree for name, tree in MODULES.items() if part_of(name) not in ("spaces", "tables")}


def imported(node: ast.AST) -> Iterator[str]:
    """Modules of graphnas that one node imports; `from graphnas import create_model` gives `graphnas.create_model`."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("graphnas."))
    elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "graphnas":
        deeper = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (
            deeper if node.module == "graphnas" else [name if name in MODULES else node.module for name in deeper]
        )
    elif isinstance(node, ast.Attribute) and dotted(node).count(".") == 1 and dotted(node).startswith("graphnas."):
        yield dotted(node)
    elif isinstance(node, ast.Call) and dotted(node.func).endswith("import_module") and node.args:
        name = node.args[0]
        if isinstance(name, ast.Constant) and str(name.value).startswith("graphnas."):
            yield str(name.value)


def dotted(node: ast.AST) -> str:
    """`a.b.c` of a chain of names, without subscripts and calls; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def backward_imports(module: str, tree: ast.AST) -> list[str]:
    own = part_of(module)
    allowed = MAY_IMPORT.get(own, set()) | {own, "__version__"}
    targets = {target for node in ast.walk(tree) for target in imported(node)}
    return sorted(target for target in targets if part_of(target) not in allowed)


def is_space(node: ast.expr) -> bool:
    """Whether an expression is a search space or its name: `space`, `self.space`, `space_name`, `config.space.name`."""
    name = dotted(node).removesuffix(".name").rsplit(".", 1)[-1]
    return name in ("space", "space_name") or name.endswith("_space")


def is_literal(node: ast.expr) -> bool:
    """A string, a collection of strings, or the name constant of a class such as `NB101.name`."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(is_literal(element) for element in node.elts)
    if isinstance(node, ast.Attribute) and node.attr == "name":
        return dotted(node.value).rsplit(".", 1)[-1][:1].isupper()
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def special_cases(tree: ast.AST) -> list[int]:
    """Lines that ask which search space this is, by its name or its class; an assertion for type checkers may."""
    asserted = {id(part) for node in ast.walk(tree) if isinstance(node, ast.Assert) for part in ast.walk(node)}
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            if any(map(is_space, sides)) and any(map(is_literal, sides)):
                lines.append(node.lineno)
        elif isinstance(node, ast.Match) and is_space(node.subject):
            lines.append(node.lineno)
        elif (
            isinstance(node, ast.Call)
            and dotted(node.func) == "isinstance"
            and is_space(node.args[0])
            and id(node) not in asserted
        ):
            classes = {
                dotted(part).rsplit(".", 1)[-1]
                for part in ast.walk(node.args[1])
                if isinstance(part, ast.Name | ast.Attribute)
            }
            if classes - {"SearchSpace", "str"}:
                lines.append(node.lineno)
    return lines


def unsafe_calls(tree: ast.AST) -> list[str]:
    """Calls that execute text or a pickle; a subclass of Unpickler that overrides find_class is the way to read one."""
    found = []
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        options = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
        if (
            name
            in (
                "eval",
                "exec",
                "builtins.eval",
                "builtins.exec",
                "os.system",
                "yaml.load",
                "yaml.unsafe_load",
                "joblib.load",
            )
            or name in ("pickle.load", "pickle.loads", "pickle.Unpickler", "Unpickler", "read_pickle", "pd.read_pickle")
            or (name == "torch.load" and options.get("weights_only") != "True")
            or (name in ("np.load", "numpy.load") and options.get("allow_pickle", "False") != "False")
            or options.get("shell") == "True"
        ):
            found.append(f"line {call.lineno}: {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "pickle":
            found += [
                f"line {node.lineno}: from pickle import {a.name}" for a in node.names if a.name in ("load", "loads")
            ]
        elif isinstance(node, ast.ClassDef) and any(dotted(base).endswith("Unpickler") for base in node.bases):
            methods = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
            if "find_class" not in methods:
                found.append(f"line {node.lineno}: an Unpickler without find_class")
    return found


def prints(tree: ast.AST) -> list[int]:
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Call) and dotted(node.func) == "print"]


def loaded_on_import(node: ast.AST) -> Iterator[str]:
    """Imports that run when the module is loaded: not those in functions, nor those only type checkers follow."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield from imported(child)
        yield from loaded_on_import(child)


# -- the source as it is ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", LIBRARY)
def test_imports_go_up_the_table(module: str) -> None:
    assert part_of(module) in MAY_IMPORT, f"{module}: say in this test what it may import"
    assert backward_imports(module, LIBRARY[module]) == []


def test_no_circle() -> None:
    graph = {name: {t for t in loaded_on_import(tree) if t in LIBRARY and t != name} for name, tree in LIBRARY.items()}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("module", OUTSIDE_SPACES)
def test_search_spaces_are_not_special_cased(module: str) -> None:
    assert special_cases(OUTSIDE_SPACES[module]) == []


@pytest.mark.parametrize("module", WITHOUT_COMMANDS)
def test_library_does_not_print(module: str) -> None:
    assert prints(WITHOUT_COMMANDS[module]) == []


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_evaluated_or_unpickled(module: str) -> None:
    assert unsafe_calls(MODULES[module]) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_safe_too(path: Path) -> None:
    assert unsafe_calls(ast.parse(path.read_text(encoding="utf-8"))) == []


# -- the checks themselves ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("graphnas.models.svge", "from graphnas.train import fit", ["graphnas.train"]),
        ("graphnas.models.svge", "import graphnas.datasets.base", ["graphnas.datasets.base"]),
        ("graphnas.models.svge", "def f():\n    from graphnas.bo.loop import LatentBO", ["graphnas.bo.loop"]),
        ("graphnas.models.svge", "from graphnas import create_model", ["graphnas.create_model"]),
        ("graphnas.models.svge", "import graphnas\ngraphnas.load_table('nb101')", ["graphnas.load_table"]),
        ("graphnas.models.svge", "import_module('graphnas.tables.csv')", ["graphnas.tables.csv"]),
        ("graphnas.spaces.toy", "from graphnas.metrics import spearman", ["graphnas.metrics"]),
        ("graphnas.train.loop", "from graphnas.bo import LatentBO", ["graphnas.bo"]),
        ("graphnas.bo.loop", "from graphnas.cli import main", ["graphnas.cli"]),
        (
            "graphnas.models.svge",
            "from graphnas.spaces import get_space\nimport torch\nfrom graphnas import spaces",
            [],
        ),
        ("graphnas.models.svge", "import graphnas\ngraphnas.__version__", []),
        ("graphnas.bo.loop", "from graphnas.train.loop import fit\nfrom graphnas import __version__", []),
    ],
)
def test_finds_backward_imports(module: str, source: str, expected: list[str]) -> None:
    assert backward_imports(module, ast.parse(source)) == expected


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("space == 'nb101'", True),
        ("if self.space.name == 'nb101': pass", True),
        ("'nb101' != config.space", True),
        ("space.name in ('nb101', 'toy')", True),
        ("space.name == NB101.name", True),
        ("isinstance(space, NB101)", True),
        ("isinstance(space, (SearchSpace, spaces.NB101))", True),
        ("match space.name:\n    case 'nb101': pass", True),
        ("target_space == 'nb101'", True),
        ("isinstance(space, (SearchSpace, str))", False),
        ("assert isinstance(space, Toy)", False),
        ("table.space.name != self.space.name", False),
        ("space.max_nodes == 7", False),
        ("metric == 'flops'", False),
    ],
)
def test_finds_special_cases(source: str, found: bool) -> None:
    assert bool(special_cases(ast.parse(source))) is found


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("eval(text)", True),
        ("exec(text)", True),
        ("pickle.load(stream)", True),
        ("from pickle import loads", True),
        ("pickle.Unpickler(stream).load()", True),
        ("class Reader(pickle.Unpickler): pass", True),
        ("torch.load(path)", True),
        ("torch.load(path, weights_only=False)", True),
        ("np.load(path, allow_pickle=True)", True),
        ("yaml.load(text)", True),
        ("subprocess.run(text, shell=True)", True),
        ("class Reader(pickle.Unpickler):\n    def find_class(self, module, name): raise ValueError", False),
        ("torch.load(path, weights_only=True)", False),
        ("np.load(path)", False),
        ("model.eval()", False),
        ("yaml.safe_load(text)", False),
    ],
)
def test_finds_unsafe_calls(source: str, found: bool) -> None:
    assert bool(unsafe_calls(ast.parse(source))) is found


def test_finds_prints_and_load_time_imports() -> None:
    hidden = "if TYPE_CHECKING:\n    from graphnas import b\ndef f():\n    from graphnas import c\n    print(1)"
    tree = ast.parse(f"from graphnas import a\n{hidden}")
    assert prints(tree) == [6] and list(loaded_on_import(tree)) == ["graphnas.a"]


# -- what an import costs -----------------------------------------------------------------------------------------

HEAVY = ("torch", "torch_geometric", "sklearn", "scipy", "matplotlib", "lightning_fabric", "botorch")
REPORT = f"print('loaded:', *(name for name in {HEAVY} if name in sys.modules))"


def heavy_modules(program: str, cwd: Path) -> str:
    """The line of `program`'s output that names the heavy modules in memory at its end."""
    run = subprocess.run([sys.executable, "-c", program], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().splitlines()[-1]


def test_import_loads_nothing_heavy(tmp_path: Path) -> None:
    assert (
        heavy_modules(f"import sys, graphnas, graphnas.errors, graphnas.registry, graphnas.paths\n{REPORT}", tmp_path)
        == "loaded:"
    )


def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    if find_spec("graphnas.cli") is None:
        pytest.skip("this checkout has no command line")
    program = (
        "import runpy, sys\nsys.argv = ['graphnas', '--help']\n"
        "try:\n    runpy.run_module('graphnas', run_name='__main__')\n"
        f"except SystemExit as exit:\n    assert not exit.code, exit.code\n{REPORT}"
    )
    assert heavy_modules(program, tmp_path) == "loaded:"


def test_heavy_modules_are_noticed(tmp_path: Path) -> None:
    assert heavy_modules(f"import sys, scipy\n{REPORT}", tmp_path) == "loaded: scipy"
