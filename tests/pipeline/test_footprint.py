"""What an untrained network costs, and which limits it exceeds."""

import torch

from uyan.model.network import Network, parameter_count
from uyan.pipeline.footprint import Footprint, footprint
from uyan.recipe import parse_recipe
from uyan.search import Limits

RECIPE = parse_recipe({"keyword": "uyan", "data": {"manifests": ["a.csv"]}, "network": {"size": "small"}}, "test")
KNOWN = Footprint("small", 64, 100, 30_050, 130_000, 50.0)


def test_it_is_that_of_the_network_that_will_be_trained() -> None:
    state = torch.random.get_rng_state()
    found = footprint(RECIPE, 130)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert found.parameters == parameter_count(Network(RECIPE.network, 64, 130))
    assert 4 * found.parameters < found.model_bytes < 5 * found.parameters and found.window_us > 0
    assert found.of(RECIPE, 130)


def test_one_network_is_another_s_equal_by_what_decides_it() -> None:
    assert KNOWN.of(RECIPE, 100) and not KNOWN.of(RECIPE, 120)
    assert KNOWN.of(RECIPE.with_fields({"network.dropout": 0.4, "training.learning_rate": 1e-4}), 100)
    assert not KNOWN.of(RECIPE.with_fields({"network.size": "medium"}), 100)
    assert not KNOWN.of(RECIPE.with_fields({"frontend.mels": 40}), 100)


def test_limits_say_what_exceeds_them() -> None:
    assert KNOWN.exceeds(Limits()) == ""
    assert KNOWN.exceeds(Limits(max_parameters=30_050, max_model_kb=130, max_window_us=50)) == ""
    assert KNOWN.exceeds(Limits(max_parameters=30_000)) == "30,050 parameters, more than 30,000"
    exceeded = KNOWN.exceeds(Limits(max_model_kb=129.5, max_window_us=49))
    assert exceeded == "a network of 130.0 kB, more than 129.5; 50 µs a window, more than 49"
