"""SVGE from scratch in plain PyTorch: train, reconstruct, sample, interpolate; a minute on one core.

python examples/train_svge.py            # the toy space
python examples/train_svge.py --space nb201 --steps 1500
"""

import argparse

import torch

from graphnas import create_model, get_space
from graphnas.datasets import ArchitectureLoader, split
from graphnas.errors import GraphnasError

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--space", default="toy", help="an enumerable search space")
parser.add_argument("--steps", type=int, default=600, help="optimiser steps of 64 graphs")
options = parser.parse_args()
torch.manual_seed(0)

# A search space is an object; its architectures are one batch of padded tensors.
try:
    space = get_space(options.space)
    archs = space.enumerate()
except GraphnasError as error:
    raise SystemExit(str(error)) from None

# The split shares no architecture between its parts, not even a functionally equal one.
parts = split(space, archs, fractions=(0.8, 0.1, 0.1), seed=0)
loader = ArchitectureLoader(archs[parts.train], batch_size=64, drop_last=True, seed=0)

# A narrow model with the loss as likelihood learns fastest; the defaults are the paper's.
model = create_model("svge", space, node_dim=64, latent_dim=24, edge_loss="sum", encoder_rounds=4)
optimizer = torch.optim.Adam(model.parameters(), 2e-3, betas=(0.9, 0.99))
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)

model.train()
step = epoch = 0
while step < options.steps:
    for batch in loader.iterate(epoch):
        losses = model.loss(batch.archs)
        optimizer.zero_grad()
        losses["total"].backward()
        optimizer.step()
        schedule.step()
        step += 1
        if step % 100 == 0:
            print(f"step {step}: " + ", ".join(f"{name} {value.item():.3f}" for name, value in losses.items()))
        if step == options.steps:
            break
    epoch += 1

# Reconstruction of held-out architectures: encode, decode the most probable graph, compare vertex by vertex.
model.eval()
test = archs[parts.test]
with torch.no_grad():
    codes = model(test)
exact = model.decode(codes, sample=False).equal(test).float().mean()
print(f"exact reconstruction of {len(test)} held-out graphs: {exact:.1%}")

# Masked decoding gives members of the space only, wherever the code comes from.
drawn = model.decode(torch.randn(200, model.latent_dim) * codes.std(0) + codes.mean(0))
print(f"valid among 200 random decodes: {space.is_valid(drawn).float().mean():.0%}")

# A walk from one architecture to another.
path = torch.linspace(0, 1, 6)[:, None]
print("\n".join(space.format(model.decode((1 - path) * codes[:1] + path * codes[1:2], sample=False))))
