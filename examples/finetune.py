"""Rank all NAS-Bench-201 cells after 100 labels, from shipped weights and from scratch; under a minute on one core.

What the weights know already, size, cost and depth, is learned from few labels too: docs/predictors.md has the figures.

python examples/finetune.py
python examples/finetune.py --model transformer --labels 50
"""

import argparse

import torch

from graphnas import get_space, list_models, load_table
from graphnas.errors import GraphnasError
from graphnas.metrics import kendall_tau
from graphnas.train import fit_predictor

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
shipped = list_models(space="nb201", pretrained=True)
parser.add_argument("--model", default="gin", choices=shipped, help="a model of `graphnas models list --pretrained`")
parser.add_argument("--labels", type=int, default=100, help="labelled cells")
parser.add_argument("--epochs", type=int, default=60, help="passes over them")
parser.add_argument("--seed", type=int, default=0, help="which cells, and of the training")
options = parser.parse_args()
torch.set_num_threads(1)

space, table = get_space("nb201"), load_table("digits201")
archs = space.enumerate()
labels = table.query(archs, "test_accuracy")
rows = torch.randperm(len(archs), generator=torch.Generator().manual_seed(options.seed))
few, rest = rows[: options.labels], rows[options.labels :]

# The same network twice: its weights drawn at random, and those whose code knows size, cost and depth already.
for name, start in (("from scratch", None), ("from shipped weights", f"{options.model}_nb201")):
    try:
        predictor = fit_predictor(
            options.model, archs[few], labels[few], space, seed=options.seed, device="cpu", epochs=options.epochs,
            start_from=start,
        )  # fmt: skip
    except GraphnasError as error:
        raise SystemExit(str(error)) from None
    tau = kendall_tau(predictor.predict(archs[rest]), labels[rest])
    print(f"{name}: Kendall's tau {tau:.3f} on the other {len(rest):,} cells")
