"""The head of a model card that machines read: YAML with the measured figures, in the schema of huggingface_hub.

Everything in it stands on the card in words as well; it computes nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from uyan.bundle import BundleInfo

TASK, TAGS = "audio-classification", ["wake-word", "keyword-spotting", "onnx", "uyan"]


def card_header(info: BundleInfo, metrics: Mapping[str, Any]) -> str:
    """YAML without the lines of dashes around it."""
    from huggingface_hub import ModelCardData

    data = ModelCardData(
        model_name=info.label,
        library_name="uyan",
        pipeline_tag=TASK,
        tags=TAGS,
        eval_results=list(_results(info, metrics)),
    )
    return str(data.to_yaml()).strip()


def _results(info: BundleInfo, metrics: Mapping[str, Any]) -> Iterator[Any]:
    """One result a condition, and the false alarms: shares in [0, 1], rates per hour."""
    from huggingface_hub import EvalResult

    alarms = metrics["false_alarms"]
    common: dict[str, Any] = {
        "task_type": TASK,
        "task_name": f"wake word “{info.label}” on continuous audio",
        "dataset_type": "held-out-speakers",
        "dataset_split": "test",
    }
    for name, found in metrics["conditions"].items():
        recordings = f"{found['positives']} recordings of {found['speakers']} speakers never heard in training"
        yield EvalResult(
            **common,
            dataset_name=f"{recordings}, {name}",
            dataset_config=name,
            metric_type="miss_rate",
            metric_name="miss rate at the shipped threshold",
            metric_value=round(found["miss_rate"], 4),
        )
    yield EvalResult(
        **common,
        dataset_name=f"{alarms['hours']:.2f} h without the word",
        dataset_config="negatives",
        metric_type="false_alarms_per_hour",
        metric_name="false alarms per hour at the shipped threshold",
        metric_value=round(alarms["fah"], 4),
    )
