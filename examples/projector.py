"""A latent space with names, labels and pictures for TensorBoard's projector, from shipped weights; half a minute.

python examples/projector.py --out runs/projector
tensorboard --logdir runs/projector
"""

import argparse

from graphnas import create_model, get_space, load_table
from graphnas.errors import GraphnasError
from graphnas.plot import thumbnails, write_projector
from graphnas.train.data import seeded
from graphnas.train.evaluate import codes_of

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", default="runs/projector", help="folder that TensorBoard reads")
parser.add_argument("--count", type=int, default=300, help="random cells")
options = parser.parse_args()

space, table = get_space("nb201"), load_table("digits201")
archs = space.sample(options.count, seeded(0))
codes = codes_of(create_model("svge", space, pretrained=True), archs)

# Columns to colour and search by; a small picture of every cell is shown in place of its point.
columns = {
    "architecture": space.format(archs),
    "test accuracy": [f"{value:.3f}" for value in table.query(archs, "test_accuracy").tolist()],
    "parameters": space.cost(archs)["params"].tolist(),
}
try:
    folder = write_projector(options.out, codes, columns, thumbnails(archs, space.vocabulary))
except GraphnasError as error:
    raise SystemExit(str(error)) from None
print(f"{len(archs)} codes with pictures: tensorboard --logdir {folder}")
