"""BIC of Bayesian networks over the eight asia variables, on rows drawn from the true network.

Sources: the network and its probabilities are those of Lauritzen and Spiegelhalter, "Local computations with
probabilities on graphical structures and their application to expert systems", J. R. Stat. Soc. B 50, 1988. Scoring
structures by BIC on 5,000 of its rows is the second task of D-VAE (Zhang et al., NeurIPS 2019, arXiv 1904.11088); the
rows here are drawn anew, so that scores resemble the published ones without being them.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

VARIABLES = ("A", "S", "T", "L", "B", "E", "X", "D")
NUM_VARIABLES = len(VARIABLES)
NUM_ROWS, SEED = 5_000, 0
STATES = 2**NUM_VARIABLES  # joint states of all variables; also the number of sets of variables


class Conditional(NamedTuple):
    """Distribution of one variable: its parents, and P(yes) with the states of the parents read as a binary number.

    The first parent is the highest digit, and "no" is 0.
    """

    parents: tuple[str, ...]
    yes: tuple[float, ...]


ASIA = {
    "A": Conditional((), (0.01,)),  # a visit to Asia
    "S": Conditional((), (0.5,)),  # smoking
    "T": Conditional(("A",), (0.01, 0.05)),  # tuberculosis
    "L": Conditional(("S",), (0.01, 0.1)),  # lung cancer
    "B": Conditional(("S",), (0.3, 0.6)),  # bronchitis
    "E": Conditional(("T", "L"), (0.0, 1.0, 1.0, 1.0)),  # either of the two
    "X": Conditional(("E",), (0.05, 0.98)),  # a positive X-ray
    "D": Conditional(("E", "B"), (0.1, 0.8, 0.7, 0.9)),  # shortness of breath
}
"""The true network in a topological order, which is also the order of `VARIABLES`."""


def asia_matrix() -> Tensor:
    """Edges of the true structure, bool [8, 8]: source, target in the order of `VARIABLES`."""
    matrix = torch.zeros(NUM_VARIABLES, NUM_VARIABLES, dtype=torch.bool)
    for target, entry in enumerate(ASIA.values()):
        for parent in entry.parents:
            matrix[VARIABLES.index(parent), target] = True
    return matrix


def asia_rows(count: int = NUM_ROWS, seed: int = SEED) -> NDArray[np.uint8]:
    """Rows drawn from the true network, uint8 [count, 8] of 0 (no) and 1 (yes); the same on every platform.

    They are built from the raw words of PCG64, the stream NumPy promises not to change, by comparisons alone.
    """
    words = np.random.PCG64(seed).random_raw((count, NUM_VARIABLES))
    uniform = (words >> np.uint64(11)).astype(np.float64) * 2.0**-53  # the 53 bits that a double holds exactly
    rows = np.zeros((count, NUM_VARIABLES), dtype=np.uint8)
    for place, entry in enumerate(ASIA.values()):
        state = np.zeros(count, dtype=np.int64)
        for parent in entry.parents:
            state = 2 * state + rows[:, VARIABLES.index(parent)]
        rows[:, place] = uniform[:, place] < np.array(entry.yes)[state]
    return rows


def local_scores(rows: NDArray[np.uint8]) -> Tensor:
    """BIC of every variable given every set of parents: float64 [8, 256].

    A set is a number whose bit v stands for variable v. As bnlearn defines it, higher is better: the log-likelihood
    under the maximum-likelihood table minus log(n) / 2 per free parameter, of which there is one per state of the
    parents whether that was observed or not. Sets that hold the variable itself are NaN.

    Args:
        rows: uint8 [n, 8] of 0 and 1.
    """
    joint = rows.astype(np.int64) @ (1 << np.arange(NUM_VARIABLES))
    counts = np.bincount(joint, minlength=STATES)
    states = np.arange(STATES)
    shared = states[:, None] & states  # [set, state]: the state with all variables outside the set at 0
    totals = np.stack([np.bincount(part, counts, STATES)[part] for part in shared])  # rows that agree on the set
    logs = np.log(np.maximum(totals, 1)) @ counts  # [set]: sum over rows; unseen states weigh nothing
    penalty = 0.5 * np.log(len(rows)) * 2.0 ** np.array([int(part).bit_count() for part in states])
    bits = 1 << np.arange(NUM_VARIABLES)[:, None]
    scores = logs[states | bits] - logs - penalty
    return torch.from_numpy(np.where(states & bits, np.nan, scores))


@cache
def asia_scores() -> Tensor:
    """`local_scores` of the 5,000 rows every score of the space is about; computed once and shared."""
    return local_scores(asia_rows())


def bic(matrices: Tensor) -> Tensor:
    """BIC of structures on the shared rows, float64 [B], from their edges bool [B, 8, 8] (source, target)."""
    bits = 1 << torch.arange(NUM_VARIABLES, device=matrices.device)
    parents = (matrices * bits[:, None]).sum(1)  # [B, 8]: the set of every variable as a number
    return asia_scores().to(matrices.device).expand(len(parents), -1, -1).gather(2, parents[:, :, None]).sum((1, 2))
