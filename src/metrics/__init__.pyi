from .bands import BandFeatures as BandFeatures, band_features as band_features
from .caricature import (
    Anchors as Anchors,
    BlendScore as BlendScore,
    fit_anchors as fit_anchors,
    rank_blends as rank_blends,
    score_blends as score_blends,
)
from .distances import (
    frechet_distance as frechet_distance,
    kernel_distance as kernel_distance,
    precision_recall as precision_recall,
)
from .evaluator import KID_MEASURE as KID_MEASURE, MEASURE as MEASURE, Evaluator as Evaluator
from .extractors import (
    EmbeddedExtractor as EmbeddedExtractor,
    EmbeddedNetwork as EmbeddedNetwork,
    FeatureExtractor as FeatureExtractor,
    get_extractor as get_extractor,
    resize_to_embedded as resize_to_embedded,
)
from .frechet import FrechetAccumulator as FrechetAccumulator
from .gates import (
    Gate as Gate,
    diversity as diversity,
    face_features as face_features,
    identity_retrieval as identity_retrieval,
    memorisation as memorisation,
)
from .lpips import Lpips as Lpips, load_lpips as load_lpips, lpips_is_on_disk as lpips_is_on_disk
from .published import INCEPTION_NVIDIA as INCEPTION_NVIDIA
from .settings import MetricsSettings as MetricsSettings
from .shards import Shards as Shards
