"""The head of a card is YAML that machines read, with the figures that stand below it."""

from huggingface_hub import ModelCard
from tests.export.test_model_card import INFO, make_metrics

from uyan.export.model_card import model_card


def test_the_hub_reads_every_figure_back() -> None:
    data = ModelCard(model_card(INFO, make_metrics())).data
    assert (data.model_name, data.library_name, data.pipeline_tag) == ("günaydın", "uyan", "audio-classification")
    found = {result.dataset_config: (result.metric_type, result.metric_value) for result in data.eval_results}
    assert found == {
        "clean": ("miss_rate", 0.075),
        "5 dB SNR": ("miss_rate", 0.2),
        "negatives": ("false_alarms_per_hour", 0.3077),
    }
