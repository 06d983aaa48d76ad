"""`graphnas evaluate vae`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from graphnas.checkpoint import make_folder
from graphnas.commands.parsing import make_parser, parse, print_values, stderr, use_threads, write_json
from graphnas.commands.runs import open_run
from graphnas.errors import GraphnasError
from graphnas.train.data import random_rows
from graphnas.train.evaluate import EvaluationConfig, evaluate_vae, prediction

DESCRIPTION = """Evaluate the best weights of a run on held-out architectures: reconstruction (the published 10 x 10
protocol, and the most probable decode), negative log-likelihood, validity of prior samples with and without the
decoding masks, uniqueness and novelty (index by index as published, and by isomorphism class). Writes
RUN/evaluation-PART.json. `reconstruction` counts sampled decodes without the masks, `exact` the most probable one with
them; docs/metrics.md says what each figure means.
Example: graphnas evaluate vae runs/svge"""


def run(command: str, arguments: Sequence[str]) -> None:
    """Evaluate and print the values."""
    parser = make_parser("evaluate vae", DESCRIPTION)
    parser.add_argument(
        "folder", metavar="RUN", help="run folder of `graphnas train vae`, or the name of shipped weights"
    )
    parser.add_argument("--part", choices=["test", "validation"], default="test", help="held-out part to reconstruct")
    parser.add_argument("--quick", action="store_true", help="200 graphs, 100 prior points")
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    parser.add_argument("--device", type=str, default="cpu", help="torch device")
    parser.add_argument("--out", type=str, help="folder of the JSON result (default RUN)")
    parser.add_class_arguments(EvaluationConfig)
    options = parse(parser, arguments)
    use_threads(options.threads)
    folder, model, _, data = open_run(options.folder)
    try:
        model.to(options.device)
    except (RuntimeError, AssertionError) as error:
        raise GraphnasError(f"cannot use device {options.device!r}: {str(error).splitlines()[0]}") from error
    sizes = EvaluationConfig(**{name: options[name] for name in EvaluationConfig.__dataclass_fields__})
    if options.quick:
        sizes.num_graphs, sizes.prior_points = min(200, sizes.num_graphs), min(100, sizes.prior_points)
    target = make_folder(Path(options.out or folder)) / f"evaluation-{options.part}.json"
    begin = time.monotonic()
    values = evaluate_vae(model, data.archs[data.split.train], data.archs[getattr(data.split, options.part)], sizes)
    stderr(f"{time.monotonic() - begin:.1f} s")
    if data.y is not None and model.predicts:
        rows = random_rows(getattr(data.split, options.part), 5000, sizes.seed)
        values |= prediction(model, data.archs[rows], data.y[rows])
    print_values(values)
    write_json(target, {"part": options.part, "sizes": vars(sizes), "values": values})
