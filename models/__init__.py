"""The zoo: create, list and describe models by name."""

from __future__ import annotations

from graphnas.models.base import GraphModel, GraphVAE, ModelConfig
from graphnas.models.predictor import Predictor, PredictorConfig
from graphnas.models.zoo import create_model, list_models, load_model, model_info, register_model, save_model

from graphnas.models.dagnn import DAGNN, DAGNNConfig  # isort: skip
from graphnas.models.gcn_vae import GCNVAE, GCNVAEConfig  # isort: skip
from graphnas.models.dvae import DVAE, DVAEConfig  # isort: skip
from graphnas.models.dvae_fast import FastDVAE, FastDVAEConfig  # isort: skip
from graphnas.models.dgmg import DGMG, DGMGConfig  # isort: skip
from graphnas.models.arch2vec import Arch2Vec, Arch2VecConfig  # isort: skip
from graphnas.models.svae import SVAE, RowConfig  # isort: skip
from graphnas.models.graphrnn import GraphRNN  # isort: skip
from graphnas.models.svge import SVGE, SVGEConfig  # isort: skip  (registers itself)
from graphnas.models.gin import GIN, GINConfig  # isort: skip

__all__ = [
    "DAGNN",
    "DGMG",
    "DVAE",
    "GCNVAE",
    "GIN",
    "SVAE",
    "SVGE",
    "Arch2Vec",
    "Arch2VecConfig",
    "DAGNNConfig",
    "DGMGConfig",
    "DVAEConfig",
    "FastDVAE",
    "FastDVAEConfig",
    "GCNVAEConfig",
    "GINConfig",
    "GraphModel",
    "GraphRNN",
    "GraphVAE",
    "ModelConfig",
    "Predictor",
    "PredictorConfig",
    "RowConfig",
    "SVGEConfig",
    "create_model",
    "list_models",
    "load_model",
    "model_info",
    "register_model",
    "save_model",
]
