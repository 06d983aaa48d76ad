"""The best cell by any Python function, found by latent Bayesian optimisation from shipped weights.

python examples/own_function.py
"""

from graphnas import create_model
from graphnas.bo import CallableOracle, LatentBO, run_search


def score(cell: str) -> float:  # higher is better; what it raises, and NaN, are failed evaluations
    return -abs(cell.count("conv") - 3)


search = LatentBO(create_model("svge", "nb201", pretrained=True))
print(run_search(search, CallableOracle("nb201", score), queries=15).best())
