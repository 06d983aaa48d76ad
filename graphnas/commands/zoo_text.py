"""The table of shipped weights, and the files that are generated from their cards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphnas.checkpoint import write_text
from graphnas.state_dicts.cards import parse_card

HEAD = """# state_dicts

Weights that come with graphnas. This file and the `.md` cards are generated from the `.json` cards by
`graphnas models build` (`make zoo` trains all of it again). One line loads a model:

```python
from graphnas import create_model

model = create_model("svge", "nb201", pretrained=True)
```

`pretrained="TAG"` takes weights with a tag, a path or an address (`https://…/file.safetensors#sha256=…`) others.
Weights are looked for here and in `state_dicts` below `$GRAPHNAS_HOME`, and compared with the SHA-256 of their card.

"""

FIELDS = {
    "format": "version of this table",
    "model": "name in the zoo",
    "kind": "`vae` or `predictor`",
    "space": "name of the search space",
    "tag": "tells weights of the same model and space apart, empty for the first",
    "about": "what it is and what it was trained on",
    "config": "arguments that rebuild the model",
    "parameters": "number of weights",
    "vocabulary_hash": "start of the SHA-256 of the operation names in the order the model counts them",
    "data_hash": "SHA-256 of the architectures that were trained on",
    "split_hash": "SHA-256 of the rows of the training, validation and test part",
    "recipe": "recipe file in `train/recipes`",
    "command": "command line that trained the model",
    "run": "the whole configuration of that training",
    "versions": "versions of graphnas, Python, torch and others it was trained with",
    "seed": "seed of that training",
    "cpu_minutes": "time of one core that it took, on a GPU beside it where `run` says `device: cuda`",
    "precision": "of the stored weights; they are loaded as float32",
    "largest_change": "which metric half precision changed most, and by how much",
    "metrics": "measured on the stored weights unless said otherwise: `value`, `ci95`, `measured_on`",
    "size": "bytes of the `.safetensors` file",
    "sha256": "its SHA-256",
    "url": "where it is fetched from if it is not in the package",
    "licence": "licence of the weights",
}


def pretrained_rows(cards: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The table of shipped weights: a row per card."""
    return [
        {
            "name": card["name"],
            "model": card["model"],
            "space": card["space"],
            "size": f"{card['size'] / 1e6:.2f} MB",
            "reconstruction": number(card, "exact"),
            "latent r": number(card, "latent_r"),
            "minutes": minutes(card),
        }
        for card in cards
    ]


def minutes(card: dict[str, Any]) -> str:
    """What a training took, of one CPU core or of a GPU."""
    on_gpu = card["run"].get("fit", {}).get("device", "cpu") == "cuda"
    return f"{card['cpu_minutes']:.1f}" + (" (GPU)" if on_gpu else "")


def number(card: dict[str, Any], metric: str) -> str:
    """A metric to four digits, a dash where it was not measured."""
    found = card["metrics"].get(metric)
    return "–" if found is None or found["value"] is None else f"{found['value']:.4f}"


def write_cards(folder: Path) -> list[dict[str, Any]]:
    """Write NAME.md for every NAME.json of a folder and README.md over all; the cards."""
    cards = [parse_card(path.stem, path) for path in sorted(folder.glob("*.json"), key=lambda it: it.stem)]
    for card in cards:
        write_text(folder / f"{card['name']}.md", card_text(card))
    write_text(folder / "README.md", readme_text(cards))
    return cards


def readme_text(cards: list[dict[str, Any]]) -> str:
    """The table of all cards, and what their fields mean."""
    rows = [row | {"name": f"[{row['name']}]({row['name']}.md)"} for row in pretrained_rows(cards)]
    total = sum(card["size"] for card in cards) / 1e6
    notes = (
        f"\n{len(cards)} files, {total:.1f} MB. Reconstruction is the share of test architectures whose most probable "
        "decode is the architecture itself, index by index; latent r is Pearson's r of a Gaussian process that "
        "foretells held-out labels from codes; minutes are those of one CPU core, or of a GPU.\n\n"
        "A pretrained model `NAME` is `NAME.safetensors` with a card `NAME.json`, an object with every field of this "
        "table; `graphnas models card NAME` prints it. A card that lacks one is refused.\n\n"
    )
    fields = [{"field": f"`{name}`", "meaning": meaning} for name, meaning in FIELDS.items()]
    return HEAD + markdown_table(rows) + notes + markdown_table(fields)


def card_text(card: dict[str, Any]) -> str:
    """A card as Markdown."""
    tag = repr(card["tag"]) if card["tag"] else "True"
    metrics = [
        {
            "metric": f"`{name}`",
            "value": show(one["value"]),
            "95 % interval": interval(one),
            "measured on": one["measured_on"],
        }
        for name, one in card["metrics"].items()
    ]
    hidden = ("metrics", "config", "run", "versions", "about", "largest_change", "format")
    facts = [{"": f"`{name}`", "value": f"`{card[name]}`"} for name in FIELDS if name not in hidden and card[name]]
    change = card["largest_change"]
    lines = [
        f"# {card['name']}",
        f"{card['about']}.",
        f'```python\nfrom graphnas import create_model\n\nmodel = create_model("{card["model"]}", "{card["space"]}", '
        f"pretrained={tag})\n```".replace("'", '"'),
        markdown_table(metrics).rstrip(),
        f"![Codes of 2,000 random architectures on two principal components](plots/{card['name']}.png)",
        f"Stored as {card['precision']}; the metric that half precision changed most is `{change['metric']}`, "
        f"by {change['by']:.1e}.",
        markdown_table(facts).rstrip(),
        "Configuration of the model and of its training:",
        f"```json\n{json.dumps({name: card[name] for name in ('config', 'run', 'versions')}, indent=1)}\n```",
    ]
    return "\n\n".join(lines) + "\n"


def show(value: float | None) -> str:
    """Four digits, more for what is tiny."""
    return "–" if value is None else f"{value:.4f}" if value == 0 or abs(value) >= 1e-4 else f"{value:.1e}"


def interval(metric: dict[str, Any]) -> str:
    """The interval of a metric, or a dash."""
    return "–" if metric["ci95"] is None else " to ".join(show(end) for end in metric["ci95"])


def markdown_table(rows: list[dict[str, Any]]) -> str:
    """Rows of equal keys as a Markdown table."""
    if not rows:
        return ""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *[[str(value) for value in row.values()] for row in rows]]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
