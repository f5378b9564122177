"""Scores of a release or a classifier on a labelled data set, and of its explanations."""

from index_builder.evaluation.classifier import evaluate_classifier, is_classifier
from index_builder.evaluation.evaluation_report import Report
from index_builder.evaluation.explanation_scores import ExplanationReport
from index_builder.evaluation.foreign_photographs import (
    Familiar,
    Photographs,
    familiar,
    familiar_in,
    joined,
    separation,
)
from index_builder.evaluation.left_out import LeftOutReport, evaluate_left_out
from index_builder.evaluation.retrieval import evaluate, matched

__all__ = [
    "ExplanationReport",
    "Familiar",
    "LeftOutReport",
    "Photographs",
    "Report",
    "evaluate",
    "evaluate_classifier",
    "evaluate_left_out",
    "familiar",
    "familiar_in",
    "is_classifier",
    "joined",
    "matched",
    "separation",
]
