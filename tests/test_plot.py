"""Figures: what the layout promises about boxes and edges, and that files come out whole."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray
from PIL import Image

from graphnas import plot
from graphnas.errors import GraphnasError, InvalidArchitecture, InvalidValues
from graphnas.plot import cell
from graphnas.plot.front import pareto_front
from graphnas.plot.layout import Layout, layered_layout
from graphnas.plot.search_curves import search_curves, value_limits
from graphnas.spaces import Architectures

VOCABULARY = ("input", "output", "conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")


def architecture(ops: list[int], edges: list[tuple[int, int]], width: int | None = None) -> Architectures:
    adj = torch.zeros(1, len(ops), len(ops), dtype=torch.bool)
    for source, target in edges:
        adj[0, source, target] = True
    one = Architectures(torch.tensor([ops], dtype=torch.uint8), adj, torch.tensor([len(ops)]))
    return one.widen(width or len(ops))


CELL = architecture(
    [0, 2, 3, 2, 2, 4, 1], [(0, 1), (0, 2), (0, 4), (0, 6), (1, 3), (2, 3), (3, 4), (3, 5), (4, 6), (5, 6)]
)
CHAIN = architecture([0, 2, 3, 1], [(0, 1), (1, 2), (2, 3)], width=7)
BOTH = Architectures.concat([CELL, CHAIN])


@st.composite
def dags(draw: st.DrawFn, max_nodes: int = 9) -> NDArray[np.bool_]:
    size = draw(st.integers(1, max_nodes))
    bits = draw(st.lists(st.booleans(), min_size=size * size, max_size=size * size))
    return np.triu(np.array(bits, dtype=bool).reshape(size, size), 1)


# -- layout -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dags())
def test_layers_are_longest_paths(adj: NDArray[np.bool_]) -> None:
    layer = layered_layout(adj).layer
    for vertex in range(len(adj)):
        assert layer[vertex] == max((layer[source] + 1 for source in np.flatnonzero(adj[:, vertex])), default=0)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dags())
def test_boxes_stand_apart_and_edges_pass_between_them(adj: NDArray[np.bool_]) -> None:
    layout = layered_layout(adj, width=1.0, gap=0.35)
    for value in range(int(layout.layer.max()) + 1):
        here = np.flatnonzero(layout.layer == value)
        assert (np.diff(np.sort(layout.x[here])) > 1.35 - 1e-6).all()
        for (source, target), route in layout.routes.items():
            if layout.layer[source] < value < layout.layer[target]:
                assert (abs(layout.x[here] - route[value - layout.layer[source]]) > 0.55).all(), "an edge crosses a box"


@settings(max_examples=60, deadline=None, derandomize=True)
@given(dags())
def test_routes_lead_from_rim_to_rim(adj: NDArray[np.bool_]) -> None:
    layout = layered_layout(adj)
    assert set(layout.routes) == {tuple(edge) for edge in np.argwhere(adj).tolist()}
    for (source, target), route in layout.routes.items():
        assert len(route) == layout.layer[target] - layout.layer[source] + 1
        assert abs(route[0] - layout.x[source]) < 0.4 and abs(route[-1] - layout.x[target]) < 0.4
    for side in (0, 1):
        for vertex in range(len(adj)):
            ports = sorted(route[-side] for edge, route in layout.routes.items() if edge[side] == vertex)
            assert all(right - left > 0.05 for left, right in pairwise(ports)), "two edges share a port"


def test_avoidable_crossings_are_avoided() -> None:
    adj = np.zeros((6, 6), dtype=bool)
    for source, target in ((0, 1), (0, 2), (1, 4), (2, 3), (3, 5), (4, 5)):
        adj[source, target] = True
    x = layered_layout(adj).x
    assert (x[1] - x[2]) * (x[4] - x[3]) > 0


def test_four_node_cell_with_operations_on_nodes_has_no_crossing() -> None:
    adj = np.zeros((8, 8), dtype=bool)  # the line graph of a complete DAG of four vertices, as in NAS-Bench-201
    for source, target in ((0, 1), (0, 2), (0, 4), (1, 3), (1, 5), (2, 6), (3, 6), (4, 7), (5, 7), (6, 7)):
        adj[source, target] = True
    assert bends_that_cross(layered_layout(adj)) == 0
    adj[1, 6] = adj[2, 3] = adj[2, 5] = adj[4, 5] = adj[4, 3] = True
    assert bends_that_cross(layered_layout(adj)) > 0


def bends_that_cross(layout: Layout) -> int:
    """Pairs of edges that change sides between two layers."""
    pieces = [
        (layout.layer[source] + step, *ends)
        for (source, _), route in layout.routes.items()
        for step, ends in enumerate(pairwise(route))
    ]
    return sum(a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < -1e-9 for a, b in combinations(pieces, 2))


def test_a_chain_is_straight_and_a_long_edge_has_one_lane() -> None:
    adj = np.diag(np.ones(6, dtype=bool), 1)
    assert np.ptp(layered_layout(adj).x) < 1e-6
    adj[0, 6] = True
    layout = layered_layout(adj)
    assert np.ptp(layout.routes[0, 6][1:-1]) < 1e-6 and np.ptp(layout.x[1:-1]) < 1e-6


# -- one architecture -----------------------------------------------------------------------------------------------


def test_labels_are_short_and_distinct() -> None:
    names = ("input", "output", "nor_conv_3x3", "skip_connect", "none", "avg_pool_3x3", "sep_conv_5x5", "dil_conv_5x5")
    expected = ["input", "output", "conv 3×3", "skip", "none", "avg 3×3", "sep 5×5", "dil 5×5"]
    assert plot.short_labels(names) == expected
    assert plot.short_labels(["conv3x3-bn-relu", "nor_conv_3x3"]) == ["conv3x3-bn-relu", "nor_conv_3x3"]
    assert plot.short_labels(["a_rather_long_name", "sep5", "c_{k-2}"]) == ["a rather…", "sep5", "c_k-2"]


def test_drawing_has_a_box_with_a_fitting_label_for_every_vertex() -> None:
    ax = Figure().add_subplot()
    plot.draw_architecture(ax, CELL, VOCABULARY, title="best")
    boxes = [patch for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    texts = [patch for patch in ax.patches if isinstance(patch, PathPatch) and patch.get_zorder() == 4]
    assert len(boxes) == len(texts) == 7 and ax.get_title() == "best"
    for box, text in zip(boxes, texts, strict=True):
        outer, inner = box.get_bbox(), text.get_path().get_extents()
        assert outer.x0 < inner.x0 and inner.x1 < outer.x1 and outer.y0 < inner.y0 and inner.y1 < outer.y1
    colours = [box.get_edgecolor() for box in boxes]
    assert colours[1] == colours[3] == colours[4] and len(set(colours)) == 4
    assert ax.get_xlim()[0] < min(box.get_bbox().x0 for box in boxes)


def test_padding_is_not_drawn() -> None:
    ax = Figure().add_subplot()
    plot.draw_architecture(ax, CHAIN, VOCABULARY)
    assert sum(isinstance(patch, FancyBboxPatch) for patch in ax.patches) == 4


def along(curve: PathPatch) -> NDArray[np.float64]:
    """Points on a curve, less than 0.02 box widths apart."""
    (corners,) = curve.get_path().to_polygons(Affine2D().scale(500), closed_only=False)
    corners = corners / 500
    at = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    fine = np.linspace(0, at[-1], int(at[-1] / 0.02) + 2)
    return np.stack([np.interp(fine, at, corners[:, 0]), np.interp(fine, at, corners[:, 1])], 1)


@pytest.mark.parametrize("seed", range(6))
def test_curves_keep_clear_of_boxes(seed: int) -> None:
    ax = Figure().add_subplot()
    generator = torch.Generator().manual_seed(seed)
    edges = (torch.rand(8, 8, generator=generator) < 0.4).triu(1) | torch.diag(torch.ones(7), 1).bool()
    arch = architecture([0, 2, 3, 4, 2, 3, 4, 1], edges.nonzero().tolist()) if seed else CELL
    plot.draw_architecture(ax, arch, VOCABULARY)
    boxes = [patch.get_bbox() for patch in ax.patches if isinstance(patch, FancyBboxPatch)]
    curves = [patch for patch in ax.patches if isinstance(patch, PathPatch) and patch.get_zorder() == 2]
    assert len(curves) == int(arch.num_edges)
    for curve in curves:
        points = along(curve)
        for box in boxes:
            inside = (abs(points - (box.p0 + box.p1) / 2) < (box.p1 - box.p0) / 2 - 1e-6).all(1)
            assert not inside.any()


def test_refuses_what_it_cannot_draw() -> None:
    ax = Figure().add_subplot()
    with pytest.raises(InvalidArchitecture, match=r"batch of one architecture \(got 2"):
        plot.draw_architecture(ax, BOTH, VOCABULARY)
    with pytest.raises(InvalidArchitecture, match="below 3"):
        plot.draw_architecture(ax, CELL, VOCABULARY[:3])


# -- files ----------------------------------------------------------------------------------------------------------


def image(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


def shows(path: Path, colour: str) -> bool:
    """Whether some pixels have exactly that colour."""
    return bool((image(path) == [int(colour[i : i + 2], 16) for i in (1, 3, 5)]).all(-1).any())


def test_grid(tmp_path: Path) -> None:
    path = plot.grid_of_architectures(
        BOTH, VOCABULARY, tmp_path / "deep" / "grid.png", titles=["a", "b"], title="Cells"
    )
    assert path == tmp_path / "deep" / "grid.png" and [p.name for p in path.parent.iterdir()] == ["grid.png"]
    assert image(path).shape[0] > 400 and shows(path, cell.COLOURS[0]) and not shows(path, "#D55E00")
    framed = plot.grid_of_architectures(BOTH, VOCABULARY, tmp_path / "framed.png", highlight=[1])
    assert shows(framed, "#D55E00")
    column = plot.grid_of_architectures(BOTH, VOCABULARY, tmp_path / "column.png", columns=1)
    row = plot.grid_of_architectures(BOTH, VOCABULARY, tmp_path / "row.png", columns=5)
    assert image(column).shape[0] > image(row).shape[0] and image(column).shape[1] < image(row).shape[1]


def test_grid_refuses(tmp_path: Path) -> None:
    path = tmp_path / "grid.png"
    with pytest.raises(InvalidValues, match="one title for each of 2"):
        plot.grid_of_architectures(BOTH, VOCABULARY, path, titles=["a"])
    with pytest.raises(InvalidValues, match="indices below 2"):
        plot.grid_of_architectures(BOTH, VOCABULARY, path, highlight=[2])
    with pytest.raises(InvalidValues, match="at least one"):
        plot.grid_of_architectures(BOTH[:0], VOCABULARY, path)
    with pytest.raises(InvalidValues, match=r"ends in one of .*png.*got 'grid\.docx'"):
        plot.grid_of_architectures(BOTH, VOCABULARY, tmp_path / "grid.docx")
    assert not list(tmp_path.iterdir())


def test_reconstruction_marks_wrong_pairs_only(tmp_path: Path) -> None:
    right = plot.reconstruction_grid(BOTH, BOTH, VOCABULARY, tmp_path / "right.png")
    wrong = plot.reconstruction_grid(BOTH, BOTH[[0, 0]], VOCABULARY, tmp_path / "wrong.png")
    told = plot.reconstruction_grid(BOTH, BOTH[[0, 0]], VOCABULARY, tmp_path / "told.png", same=[True, True])
    assert shows(wrong, "#D55E00") and not shows(right, "#D55E00") and not shows(told, "#D55E00")
    with pytest.raises(InvalidValues, match="2 originals, 1 decoded"):
        plot.reconstruction_grid(BOTH, CELL, VOCABULARY, tmp_path / "x.png")
    with pytest.raises(InvalidValues, match="vector of 2"):
        plot.reconstruction_grid(BOTH, BOTH, VOCABULARY, tmp_path / "x.png", same=[True])


def axis_texts(path: Path) -> str:
    """The source of an SVG, in which every text stands in a comment above its outlines."""
    return path.read_text(encoding="utf-8")


def test_latent_map_names_the_explained_variance(tmp_path: Path) -> None:
    codes = np.zeros((40, 3))
    codes[:20, 0], codes[20:, 1] = np.tile([3.0, -3.0], 10), np.tile([1.0, -1.0], 10)  # variances 9 : 1 : 0
    text = axis_texts(plot.latent_map(codes, tmp_path / "map.svg"))
    assert "principal component 1 (90.0 % of variance)" in text and "principal component 2 (10.0 %" in text
    assert "architectures per cell" in text
    values = np.arange(40.0)
    values[::3] = np.nan
    text = axis_texts(
        plot.latent_map(torch.tensor(codes), tmp_path / "map.svg", torch.tensor(values), "accuracy (%)", "t")
    )
    assert "accuracy (%)" in text and "architectures per cell" not in text


@pytest.mark.parametrize("codes", [np.zeros((5, 1)), np.zeros(5), np.full((5, 2), np.nan), np.zeros((1, 4))])
def test_latent_map_refuses_other_codes(tmp_path: Path, codes: NDArray[np.float64]) -> None:
    with pytest.raises(InvalidValues, match="finite codes"):
        plot.latent_map(codes, tmp_path / "map.png")


def test_latent_map_of_equal_codes(tmp_path: Path) -> None:
    assert plot.latent_map(np.ones((9, 4)), tmp_path / "map.png").stat().st_size > 0
    assert plot.latent_map(np.ones((9, 4)), tmp_path / "map.png", values=[1.0] * 9).stat().st_size > 0
    with pytest.raises(InvalidValues, match="vector of 9"):
        plot.latent_map(np.ones((9, 4)), tmp_path / "map.png", values=[1.0])


def test_learning_curves(tmp_path: Path) -> None:
    records = [{"step": i, "train/loss": 1 / (i + 1), "lr": 0.1, "name": "run"} for i in range(4)]
    records += [{"step": 3, "valid/loss": 0.5}, {"note": "no step", "train/loss": 9.0}]
    text = axis_texts(plot.learning_curves(iter(records), tmp_path / "curves.svg", title="Run 7"))
    assert all(f"<!-- {word} -->" in text for word in ("step", "loss", "lr", "train", "valid", "Run 7"))
    assert "<!-- name -->" not in text and "<!-- 9 -->" not in text
    only = axis_texts(plot.learning_curves(records, tmp_path / "curves.svg", metrics=["lr"]))
    assert "<!-- loss -->" not in only
    with pytest.raises(InvalidValues, match="none for missing"):
        plot.learning_curves(records, tmp_path / "x.png", metrics=["lr", "missing"])
    with pytest.raises(InvalidValues, match="'epoch'"):
        plot.learning_curves(records, tmp_path / "x.png", x="epoch")


def test_scatter_reports_rank_correlations(tmp_path: Path) -> None:
    text = axis_texts(plot.scatter([1, 2, 3, 4], [1, 3, 2, 4], tmp_path / "s.svg", title="Ridge", diagonal=True))
    assert "Kendall τ 0.667" in text and "Spearman ρ 0.800" in text and "n 4" in text
    text = axis_texts(plot.scatter([1, 2, 3], [1, np.nan, 2], tmp_path / "s.svg"))
    assert "n 2 (1 not finite)" in text
    assert plot.scatter([1, 1], [2, 2], tmp_path / "same.png", diagonal=True).exists()
    with pytest.raises(InvalidValues, match="none finite"):
        plot.scatter([np.nan], [1.0], tmp_path / "s.svg")
    with pytest.raises(InvalidValues, match="vector of 2"):
        plot.scatter([1, 2], [1.0], tmp_path / "s.svg")


def test_same_input_gives_the_same_pixels(tmp_path: Path) -> None:
    codes = np.random.default_rng(0).normal(size=(300, 8))
    first = plot.latent_map(codes, tmp_path / "a.png", values=codes[:, 0])
    second = plot.latent_map(codes, tmp_path / "b.png", values=codes[:, 0])
    assert (image(first) == image(second)).all()


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = plot.scatter([1, 2], [1, 2], tmp_path / "s.png")
    before = path.read_bytes()

    def fail(self: Figure, draft: Path, **options: object) -> None:
        draft.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", fail)
    with pytest.raises(GraphnasError, match="disk full; an earlier file is unchanged"):
        plot.scatter([1, 2], [2, 1], path)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_pyplot_is_never_loaded(tmp_path: Path) -> None:
    program = (
        "import sys; from graphnas import plot\n"
        f"plot.scatter([1, 2], [1, 2], {str(tmp_path / 's.png')!r})\n"
        "print('matplotlib.pyplot' in sys.modules, 'matplotlib' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("falling", [False, True])
def test_curves_of_searches_of_any_length(falling: bool, tmp_path: Path) -> None:
    """Budgets in seconds end searches after different numbers of evaluations; failures leave gaps."""
    sign = -1.0 if falling else 1.0
    first = [sign * value for value in (-5.0, *np.linspace(0, 1, 30))]
    curves = {"a": {0: first, 1: first[:20]}, "b": {0: [np.nan] * 4}}
    assert search_curves(curves, tmp_path / "curves.png", "value", falling=falling).stat().st_size > 1000
    limits = value_limits({"a": {0: first}}, None, falling)
    assert limits is not None
    low, high = sorted(sign * limit for limit in limits)
    assert -0.2 < low < 0.1 and 1.0 < high < 1.1 and limits[0] < limits[1]  # the first value does not set the scale
    assert value_limits({"b": curves["b"]}, None, falling) is None
    with pytest.raises(InvalidValues, match="at least one curve"):
        search_curves({"a": {0: []}}, tmp_path / "none.png", "value")


@pytest.mark.parametrize("falling", [False, True])
def test_fronts_are_staircases_of_the_best(falling: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[list[float], list[float]]] = []
    step = Axes.step

    def remember(axes: Axes, x: NDArray[np.float64], y: NDArray[np.float64], **style: object) -> object:
        drawn.append((list(x), list(y)))
        return step(axes, x, y, **style)

    monkeypatch.setattr(Axes, "step", remember)
    values, costs = torch.tensor([3.0, 1.0, 2.0, 5.0]), torch.tensor([2.0, 1.0, 1.0, 3.0])
    points = {"a": (-values if falling else values, costs)}
    pareto_front(points, tmp_path / "front.png", "value", "params", falling=falling)
    best = [2.0, 2.0, 3.0, 5.0]
    assert drawn == [([1.0, 1.0, 2.0, 3.0], [-value for value in best] if falling else best)]
