"""How good a model is: feature extractors, distances between picture sets, the caricature score."""

from .bands import BandFeatures, band_features
from .caricature import BlendScore, fit_anchors, rank_blends, score_blends
from .distances import frechet_distance, kernel_distance, precision_recall
from .evaluator import Evaluator
from .extractors import FeatureExtractor, get_extractor
from .frechet import FrechetAccumulator
from .gates import Gate, diversity, face_features, identity_retrieval, memorisation
from .lpips import Lpips, load_lpips
from .shards import Shards

__all__ = [
    "BandFeatures",
    "BlendScore",
    "Evaluator",
    "FeatureExtractor",
    "FrechetAccumulator",
    "Gate",
    "Lpips",
    "Shards",
    "band_features",
    "diversity",
    "face_features",
    "fit_anchors",
    "frechet_distance",
    "get_extractor",
    "identity_retrieval",
    "kernel_distance",
    "load_lpips",
    "memorisation",
    "precision_recall",
    "rank_blends",
    "score_blends",
]
