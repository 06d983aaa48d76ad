"""`graphnas plot interpolate | neighbourhood`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from graphnas.commands.parsing import CommandParser, UsageError, make_parser, parse, print_values, write_json

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from graphnas.bo.decoding import CommonDecodes
    from graphnas.commands.runs import OpenRun
    from graphnas.spaces import Architectures

INTERPOLATE = """Draw the architectures on a straight line between the codes of two, or on a great circle through the
code of one. Each is the most common of many decodes; #1, #2, ... number distinct ones in the order they appear.
Also writes a JSON file beside the image. `agreement` is the mean share of decodes that are the one drawn; the other
figures are explained in docs/metrics.md.
Example: graphnas plot interpolate runs/svge --kind circle"""
NEIGHBOURHOOD = """Draw the architectures on a grid around the code of one, along two random orthonormal directions.
Each is the most common of many decodes; #1, #2, ... number distinct ones in the order they appear. Also writes a JSON
file beside the image. `agreement` is the mean share of decodes that are the one drawn; the other figures are explained
in docs/metrics.md.
Example: graphnas plot neighbourhood runs/svge --step 0.05"""
QUICK_DRAWS = 50
MOST = 625  # drawings in one image
STEPS = {"linear": 10, "circle": 36}


@dataclass
class Picture:
    """Where B decoded codes go: the neighbours among them, and how they are drawn."""

    path: Path
    pairs: Tensor
    places: Sequence[str]
    columns: int
    title: str
    highlight: Sequence[int] = ()


def run(command: str, arguments: Sequence[str]) -> None:
    """Draw, then print the path written and the figures."""
    {"plot interpolate": interpolate, "plot neighbourhood": neighbourhood}[command](arguments)


def interpolate(arguments: Sequence[str]) -> None:
    """Architectures along a line or a circle."""
    parser = make_parser("plot interpolate", INTERPOLATE)
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument("--kind", choices=list(STEPS), default="linear", help="line between two, or circle through one")
    parser.add_argument("--start", type=str, help="architecture as text (default a random held-out one)")
    parser.add_argument("--end", type=str, help="the other end of the line (default another random held-out one)")
    parser.add_argument("--steps", type=int, help="codes on the path (default 10 on a line, 36 on a circle)")
    _add_common(parser, "interpolate-KIND.png")
    options = parse(parser, arguments)
    circle = options.kind == "circle"
    steps = STEPS[options.kind] if options.steps is None else options.steps
    if not 2 <= steps <= MOST:
        raise UsageError(f"--steps must be at least 2 and at most {MOST} (got {steps})")
    if circle and options.end is not None:
        raise UsageError("--end is for --kind linear: a circle passes through --start alone")
    draws = _draws(options)
    from graphnas.bo.smoothness import angle, great_circle, linear_path, path_pairs
    from graphnas.commands.runs import open_run
    from graphnas.train.data import seeded
    from graphnas.train.evaluate import encode_all

    run, generator = open_run(options.folder), seeded(options.seed)
    ends = _chosen(run, [options.start] if circle else [options.start, options.end], options.seed)
    codes = encode_all(run.model, ends)
    path = great_circle(codes[0], generator, steps) if circle else linear_path(codes[0], codes[1], steps)
    places = [f"{360 * i / steps:.0f}°" if circle else str(i + 1) for i in range(steps)]
    out = Path(options.out or run.folder / f"interpolate-{options.kind}.png")
    picture = Picture(
        out, path_pairs(steps, circle), places, 9 if circle else 5, "great circle" if circle else "straight line"
    )
    facts: dict[str, Any] = {"kind": options.kind, "ends": run.data.space.format(ends), "seed": options.seed}
    if not circle:
        facts["angle_degrees"] = float(angle(codes[0], codes[1]).rad2deg())
    _report(run, path, draws, generator, picture, facts)


def neighbourhood(arguments: Sequence[str]) -> None:
    """Architectures on a grid around one."""
    parser = make_parser("plot neighbourhood", NEIGHBOURHOOD)
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument("--arch", type=str, help="architecture in the middle, as text (default a random held-out one)")
    parser.add_argument("--size", type=int, default=9, help="codes along a side, an odd number")
    parser.add_argument("--step", type=float, default=0.1, help="distance of two codes")
    _add_common(parser, "neighbourhood.png")
    options = parse(parser, arguments)
    size = options.size
    if not 3 <= size <= MOST**0.5 or size % 2 == 0:
        raise UsageError(f"--size must be odd, at least 3 and at most {int(MOST**0.5)} (got {size})")
    if not 0 < options.step < float("inf"):
        raise UsageError(f"--step must be positive (got {options.step})")
    draws = _draws(options)
    from graphnas.bo.smoothness import grid_pairs, neighbourhood_grid
    from graphnas.commands.runs import open_run
    from graphnas.train.data import seeded
    from graphnas.train.evaluate import encode_all

    run, generator = open_run(options.folder), seeded(options.seed)
    center = _chosen(run, [options.arch], options.seed)
    codes = neighbourhood_grid(encode_all(run.model, center)[0], generator, size, options.step)
    out = Path(options.out or run.folder / "neighbourhood.png")
    title = f"{size} x {size} codes, {options.step:g} apart"
    picture = Picture(out, grid_pairs(size), [""] * size**2, size, title, [size**2 // 2])
    facts = {"arch": run.data.space.format(center)[0], "size": size, "step": options.step, "seed": options.seed}
    _report(run, codes, draws, generator, picture, facts)


def _add_common(parser: CommandParser, out: str) -> None:
    parser.add_argument("--draws", type=int, default=500, help="decodes per code; 0 takes the most probable decode")
    parser.add_argument("--quick", action="store_true", help=f"at most {QUICK_DRAWS} decodes per code")
    parser.add_argument("--seed", type=int, default=0, help="of the held-out graphs, directions and decodes")
    parser.add_argument("--out", type=str, help=f"image to write (default RUN/{out})")


def _draws(options: Any) -> int:
    if options.draws < 0:
        raise UsageError(f"--draws must be at least 0 (got {options.draws})")
    return min(QUICK_DRAWS, options.draws) if options.quick else int(options.draws)


def _chosen(run: OpenRun, texts: Sequence[str | None], seed: int) -> Architectures:
    """The architectures that texts describe, and a random held-out one for every text that is not given."""
    from graphnas.spaces import Architectures
    from graphnas.train.data import random_rows

    missing = sum(text is None for text in texts)
    rows = random_rows(run.data.split.test, missing, seed)
    if len(rows) < missing:
        raise UsageError(f"{run.folder} holds out {len(rows)} test graphs only: name the architectures")
    drawn = iter(run.data.archs[rows])
    return Architectures.concat([next(drawn) if text is None else run.data.space.parse(text) for text in texts])


def _report(
    run: OpenRun, codes: Tensor, draws: int, generator: Generator, picture: Picture, facts: dict[str, Any]
) -> None:
    """Decodes the codes [B, Z], draws them, writes the JSON beside, prints the path and the figures."""
    from graphnas.bo.smoothness import class_numbers, decode_codes, smoothness
    from graphnas.plot import grid_of_architectures

    space = run.data.space
    decoded = decode_codes(run.model, codes, draws, generator)
    numbers = class_numbers(space, decoded.archs).tolist()
    figures = asdict(smoothness(space, decoded.archs, picture.pairs))
    figures["agreement"] = float(decoded.votes.double().mean()) / max(draws, 1)
    titles = [f"{place}  #{number}".strip() for place, number in zip(picture.places, numbers, strict=True)]
    title = f"{picture.title}: {figures['distinct']} architectures, {figures['changed']:.0%} of steps change"
    path = grid_of_architectures(
        decoded.archs, space.vocabulary, picture.path, titles, picture.columns, picture.highlight, title
    )
    points = _points(run, decoded, numbers)
    write_json(path.with_suffix(".json"), {**facts, "draws": draws, "smoothness": figures, "points": points})
    print(path)
    print_values({name: value for name, value in facts.items() if isinstance(value, float)} | figures)


def _points(run: OpenRun, decoded: CommonDecodes, numbers: Sequence[int]) -> list[dict[str, Any]]:
    texts, votes = run.data.space.format(decoded.archs), decoded.votes.tolist()
    return [
        {"arch": text, "number": number, "votes": vote}
        for text, number, vote in zip(texts, numbers, votes, strict=True)
    ]
