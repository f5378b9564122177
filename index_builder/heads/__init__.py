"""Feature extractors and the heads that are fitted to them: from labelled images to the network of a release."""

from index_builder.heads.assemble import OPSET, append_head, export_extractor, join_extractors, store_in_half
from index_builder.heads.choice import DIMENSION, Candidate, Fit, fold_of
from index_builder.heads.files import StoredHead, load_head, save_head
from index_builder.heads.fitting import FitSettings, FittedHead, HeadFitting, HeadOnCells, Progress, Report
from index_builder.heads.maps import FeatureExtractor, FeatureSource, ImageMaps
from index_builder.heads.samples import Samples, cell_labels, gather_samples
from index_builder.heads.sources import WORKING_SIZE, OpenedFeatures, features_info, has_features, open_features
from index_builder.heads.statistics import measure_statistics

__all__ = [
    "DIMENSION",
    "OPSET",
    "WORKING_SIZE",
    "Candidate",
    "FeatureExtractor",
    "FeatureSource",
    "Fit",
    "FitSettings",
    "FittedHead",
    "HeadFitting",
    "HeadOnCells",
    "ImageMaps",
    "OpenedFeatures",
    "Progress",
    "Report",
    "Samples",
    "StoredHead",
    "append_head",
    "cell_labels",
    "export_extractor",
    "features_info",
    "fold_of",
    "gather_samples",
    "has_features",
    "join_extractors",
    "load_head",
    "measure_statistics",
    "open_features",
    "save_head",
    "store_in_half",
]
