"""Codes of every NAS-Bench-201 cell from shipped weights, and back to architectures; seconds on one core.

python examples/embed.py
python examples/embed.py --model arch2vec --space nb201
"""

import argparse
import time

import torch

from graphnas import create_model, get_space, list_models
from graphnas.errors import GraphnasError
from graphnas.train.evaluate import codes_of, decode_all

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
shipped = list_models(kind="vae", pretrained=True)
parser.add_argument("--model", default="svge", choices=shipped, help="a VAE of `graphnas models list --pretrained`")
parser.add_argument("--space", default="nb201", help="its search space, which must be enumerable")
options = parser.parse_args()

# The weights lie in the package; their hash, config and vocabulary are checked on the way in.
try:
    space = get_space(options.space)
    model, archs = create_model(options.model, space, pretrained=True), space.enumerate()
except GraphnasError as error:
    raise SystemExit(str(error)) from None

# A code is the posterior mean. `graphnas models embed svge_nb201 all -o codes.npz` writes the same to a file.
begin = time.process_time()
codes = codes_of(model, archs)
print(f"{len(archs):,} codes of {codes.shape[1]} numbers in {time.process_time() - begin:.1f} CPU-seconds")

# And back: the most probable architecture of a code is nearly always the one it came from.
some = torch.randperm(len(archs), generator=torch.Generator().manual_seed(0))[:500]
back = decode_all(model, codes[some], sample=False)
print(f"given back exactly: {back.equal(archs[some]).float().mean():.1%} of {len(some)}")
