"""Shipped weights: one .safetensors file per pretrained model and a .json card that says what it is."""

from graphnas.state_dicts.cards import CARD_FIELDS, CARD_FORMAT, list_pretrained, read_card
from graphnas.state_dicts.files import fetch_weights, find, is_place, is_shipped, resolve

__all__ = [
    "CARD_FIELDS",
    "CARD_FORMAT",
    "fetch_weights",
    "find",
    "is_place",
    "is_shipped",
    "list_pretrained",
    "read_card",
    "resolve",
]
