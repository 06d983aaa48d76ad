"""Performance labels: official benchmark files, CSV, and the compact form they are converted to."""

from graphnas.sources import Source
from graphnas.tables.base import Noise, Table
from graphnas.tables.compact import load_compact, save_compact
from graphnas.tables.load import BUILT_IN, convert, default_table, detect, list_tables, load_table
from graphnas.tables.sources import SOURCES, LabelSource, download
from graphnas.tables.within import load_members, within

__all__ = [
    "BUILT_IN",
    "SOURCES",
    "LabelSource",
    "Noise",
    "Source",
    "Table",
    "convert",
    "default_table",
    "detect",
    "download",
    "list_tables",
    "load_compact",
    "load_members",
    "load_table",
    "save_compact",
    "within",
]
