"""Figures of architectures, latent spaces and runs: every function that takes a path writes one file and returns it.

The format follows the suffix (.png, .pdf, .svg). Figures are built as objects: no pyplot, no global state, no display.
"""

from graphnas.plot.cell import draw_architecture, short_labels
from graphnas.plot.charts import latent_map, learning_curves, scatter
from graphnas.plot.grids import grid_of_architectures, reconstruction_grid
from graphnas.plot.projector import thumbnails, write_projector

__all__ = [
    "draw_architecture",
    "grid_of_architectures",
    "latent_map",
    "learning_curves",
    "reconstruction_grid",
    "scatter",
    "short_labels",
    "thumbnails",
    "write_projector",
]
