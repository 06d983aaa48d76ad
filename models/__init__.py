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
from graphnas.models.gates import GATES, GATESConfig  # isort: skip
from graphnas.models.ta_gates import TAGATES, TAGATESConfig  # isort: skip
from graphnas.models.flan import FLAN, FLANConfig  # isort: skip
from graphnas.models.gcn import GCN, GCNConfig  # isort: skip
from graphnas.models.nar import NAR, NARConfig  # isort: skip
from graphnas.models.transformer import Transformer, TransformerConfig  # isort: skip
from graphnas.models.mlp import MLP, MLPConfig  # isort: skip
from graphnas.models.encoder_head import EncoderConfig, EncoderHead  # isort: skip
from graphnas.models.raw import FeatureConfig, FeaturePredictor, GaussianProcess, GPConfig, Ridge  # isort: skip
from graphnas.models.boosting import Blend, BlendConfig, Boosting, BoostingConfig  # isort: skip
from graphnas.models.released import import_released  # isort: skip

__all__ = [
    "DAGNN",
    "DGMG",
    "DVAE",
    "FLAN",
    "GATES",
    "GCN",
    "GCNVAE",
    "GIN",
    "MLP",
    "NAR",
    "SVAE",
    "SVGE",
    "TAGATES",
    "Arch2Vec",
    "Arch2VecConfig",
    "Blend",
    "BlendConfig",
    "Boosting",
    "BoostingConfig",
    "DAGNNConfig",
    "DGMGConfig",
    "DVAEConfig",
    "EncoderConfig",
    "EncoderHead",
    "FLANConfig",
    "FastDVAE",
    "FastDVAEConfig",
    "FeatureConfig",
    "FeaturePredictor",
    "GATESConfig",
    "GCNConfig",
    "GCNVAEConfig",
    "GINConfig",
    "GPConfig",
    "GaussianProcess",
    "GraphModel",
    "GraphRNN",
    "GraphVAE",
    "MLPConfig",
    "ModelConfig",
    "NARConfig",
    "Predictor",
    "PredictorConfig",
    "Ridge",
    "RowConfig",
    "SVGEConfig",
    "TAGATESConfig",
    "Transformer",
    "TransformerConfig",
    "create_model",
    "import_released",
    "list_models",
    "load_model",
    "model_info",
    "register_model",
    "save_model",
]
