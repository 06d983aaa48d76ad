"""The best cell by a Python function of your own, found by latent Bayesian optimisation from shipped weights; half a
minute on one core.

python examples/callable_oracle.py
python examples/callable_oracle.py --queries 60
"""

import argparse

import torch
from sklearn.datasets import load_digits

from graphnas import create_model
from graphnas.bo import CallableOracle, LatentBO, run_search
from graphnas.errors import GraphnasError
from graphnas.networks import Images, build_network

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--queries", type=int, default=30, help="calls of the function")
parser.add_argument("--seed", type=int, default=1, help="of the search")
options = parser.parse_args()
images, digits = (torch.tensor(part) for part in load_digits(return_X_y=True))
images = images.float().view(-1, 1, 8, 8) / 16


# From the text of an architecture to a number, higher is better: train it, time it on a telephone, ask a colleague.
# What it raises, and NaN, are failed evaluations that the search survives.
def accuracy(cell: str) -> float:
    torch.manual_seed(0)
    network = build_network("nb201", cell, Images(1, 8, 10), channels=8, cells=1)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for rows in torch.cat([torch.randperm(900) for _ in range(3)]).split(90):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(images[rows]), digits[rows]).backward()
        optimizer.step()
    return float((network.eval()(images[900:]).argmax(1) == digits[900:]).float().mean())


# Ten random cells, then what a Gaussian process on the codes of the VAE finds most promising. With
# `journal="search.jsonl"` every answer is on the disk at once, and the same call goes on after an interruption.
search = LatentBO(create_model("svge", "nb201", pretrained=True), seed=options.seed)
oracle = CallableOracle("nb201", accuracy)
try:
    history = run_search(search, oracle, options.queries, report=lambda one: print(one.value))
    print(f"best of {len(history.evaluations)}: {history.best().value:.3f}  {history.best().arch}")
except GraphnasError as error:
    raise SystemExit(str(error)) from None
