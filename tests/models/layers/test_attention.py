"""Transformer layers against loops."""

from __future__ import annotations

import math

import torch

from graphnas.models.layers.attention import Attention, SharedDecoder, sinusoids


def test_sinusoids_are_the_formula() -> None:
    table = sinusoids(7, 6)
    for position in range(7):
        for j in range(6):
            angle = position / 10000 ** (2 * (j // 2) / 6)
            expected = math.sin(angle) if j % 2 == 0 else math.cos(angle)
            assert abs(float(table[position, j]) - expected) < 1e-6


def test_attention_head_by_head() -> None:
    torch.manual_seed(0)
    layer, x, heard = Attention(8, 2, 0.1).eval(), torch.randn(3, 5, 8), torch.randn(3, 4, 8)
    query, key, value = layer.query(x), layer.key(heard), layer.value(heard)
    heads = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        weights = (query[..., part] @ key[..., part].transpose(1, 2) / 2).softmax(2)
        heads.append(weights @ value[..., part])
    expected = layer.norm(x + layer.out(torch.cat(heads, 2)))
    assert torch.allclose(layer(x, heard), expected, atol=1e-6)


def test_the_shared_decoder_is_one_decoder_per_target() -> None:
    torch.manual_seed(0)
    decoder, targets, memory = SharedDecoder(5, 8, 16, 3, 2, 0.0).eval(), torch.randn(4, 5, 8), torch.randn(6, 5, 8)
    together = decoder(targets, memory)
    assert together.shape == (6, 4, 5, 8)
    for kind in range(4):
        assert torch.allclose(decoder(targets[kind : kind + 1], memory)[:, 0], together[:, kind], atol=1e-5)
