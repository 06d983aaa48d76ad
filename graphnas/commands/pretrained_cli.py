"""`graphnas models card | embed`."""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from pathlib import Path

from graphnas.commands.parsing import UsageError, make_parser, parse, print_values, stderr, use_threads

EMBED = """Codes of architectures: the posterior means of a VAE, the code a predictor scores. ARCHS is a text file (one
architecture per line), a CSV with the column `arch` (or `architecture`, `cell`, `arch_str`), or `all` for the whole
space. The .npz holds `codes` float32 [B, D] and, as padded arrays, the architectures themselves: `ops` [B, N], `adj`
[B, N, N], `num_nodes` [B], `space`.
Example: graphnas models embed svge_nb201 all -o codes.npz"""


def run(command: str, arguments: Sequence[str]) -> None:
    """Print a card, or write codes."""
    {"models card": card, "models embed": embed}[command](arguments)


def card(arguments: Sequence[str]) -> None:
    """The card of shipped weights as Markdown."""
    parser = make_parser("models card", "What shipped weights are, what they learned, how well, and how to load them.")
    parser.add_argument("name", help="as listed by `graphnas models list --pretrained`")
    options = parse(parser, arguments)
    from graphnas.commands.zoo_text import card_text
    from graphnas.state_dicts import read_card

    print(card_text(read_card(options.name)), end="")


def embed(arguments: Sequence[str]) -> None:
    """Codes of a file or of a whole space."""
    parser = make_parser("models embed", EMBED)
    parser.add_argument("name", help="shipped weights, a run folder, a model file or the address of one")
    parser.add_argument("archs", metavar="ARCHS", help="text or CSV file, or `all` for the whole space")
    parser.add_argument("-o", "--out", type=str, default="codes.npz", help=".npz to write")
    parser.add_argument("--batch_size", type=int, help="architectures at a time (default the model's own)")
    parser.add_argument("--threads", type=int, help="threads of the CPU to use (default all)")
    options = parse(parser, arguments)
    if options.batch_size is not None and options.batch_size < 1:
        raise UsageError(f"expected --batch_size of at least 1 (got {options.batch_size})")
    if not options.out.endswith(".npz"):
        raise UsageError(f"expected --out to end in .npz (got {options.out})")
    use_threads(options.threads)
    import numpy as np

    from graphnas.checkpoint import write_bytes
    from graphnas.commands.predict_cli import asked_for
    from graphnas.models import load_model
    from graphnas.state_dicts import resolve
    from graphnas.train.evaluate import codes_of

    model = load_model(resolve(options.name))
    archs = asked_for(model.space, options.archs)
    begin, cpu = time.monotonic(), time.process_time()
    codes = codes_of(model, archs, options.batch_size)
    stderr(f"{len(codes):,} codes in {time.monotonic() - begin:.1f} s, {time.process_time() - cpu:.1f} CPU-seconds")
    stream = io.BytesIO()
    np.savez(
        stream, codes=codes.numpy(), space=np.array(model.space.name), ops=archs.ops.numpy(), adj=archs.adj.numpy(),
        num_nodes=archs.num_nodes.numpy(),
    )  # fmt: skip
    path = write_bytes(Path(options.out), stream.getvalue())
    print_values({"codes": f"{list(codes.shape)}", "space": model.space.name, "file": path})
