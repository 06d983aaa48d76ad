"""Architectures like this one: nearest neighbours in the latent space of shipped weights; seconds on one core.

python examples/neighbours.py
python examples/neighbours.py --arch "|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|"
"""

import argparse

import torch

from graphnas import create_model, get_space, load_table
from graphnas.errors import GraphnasError
from graphnas.train.evaluate import codes_of

CELL = "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--arch", default=CELL, help="a NAS-Bench-201 cell")
parser.add_argument("--count", type=int, default=5, help="how many neighbours")
options = parser.parse_args()

space, table = get_space("nb201"), load_table("digits201")
archs = space.enumerate()
try:
    query = space.parse([options.arch])
except GraphnasError as error:
    raise SystemExit(str(error)) from None
model = create_model("svge", space, pretrained=True)

# All codes at once, then plain Euclidean distance: 15,625 points need no index.
codes = codes_of(model, archs)
distance = torch.cdist(codes_of(model, query), codes)[0]
nearest = distance.argsort(stable=True)[: options.count + 1]

# The labels were never shown to the model; cells that look alike to it also train alike.
accuracy = table.query(archs, "test_accuracy")
for row in nearest.tolist():
    print(f"{distance[row]:6.2f}  {accuracy[row]:.3f}  {space.format(archs[row : row + 1])[0]}")
spread = accuracy[nearest].std() / accuracy.std()
print(f"spread of accuracy among them: {spread:.2f} of that of all cells")
