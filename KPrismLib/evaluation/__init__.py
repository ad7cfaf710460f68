"""Measuring a model: the paper's protocol, and what the paper leaves out of it."""

from KPrismLib.evaluation.evaluate import evaluate
from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.simulated_click import next_click

__all__ = ["EvaluationReport", "EvaluationSettings", "Mode", "evaluate", "next_click"]
