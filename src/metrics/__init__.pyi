from .cariscore import (
    DELTA as DELTA,
    LEVEL as LEVEL,
    MIN_PX as MIN_PX,
    Axis as Axis,
    AxisName as AxisName,
    Cell as Cell,
    Decision as Decision,
    Judge as Judge,
    Named as Named,
    References as References,
    Rows as Rows,
    choose_detector as choose_detector,
    combine as combine,
    decide as decide,
    exponents as exponents,
    joint as joint,
    level_of_a_look as level_of_a_look,
    locate as locate,
    looks as looks,
    open_axes as open_axes,
    prices as prices,
    race as race,
    rank_blends as rank_blends,
    recommendation as recommendation,
    remark as remark,
    shrunk as shrunk,
    too_few_codes as too_few_codes,
)
from .choice import changed_metrics as changed_metrics, choose_metrics as choose_metrics
from .cost import evaluation_cost as evaluation_cost
from .evaluator import (
    MEASURE as MEASURE,
    Evaluation as Evaluation,
    Evaluator as Evaluator,
)
from .extractors import (
    EmbeddedExtractor as EmbeddedExtractor,
    EmbeddedNetwork as EmbeddedNetwork,
    FeatureExtractor as FeatureExtractor,
    get_extractor as get_extractor,
    resize_to_embedded as resize_to_embedded,
)
from .kid import KernelDistance as KernelDistance, error_of as error_of, lowest as lowest
from .lpips import load_lpips as load_lpips, lpips_is_on_disk as lpips_is_on_disk
from .settings import FRECHET_NAMES as FRECHET_NAMES, MetricsSettings as MetricsSettings
