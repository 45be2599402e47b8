"""Recipes: what validates, what does not and how it is said, and what the hash is taken over."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from uyan.errors import ConfigError
from uyan.recipe import APART, NO_EFFECT, Recipe, load_recipe, parse_recipe, settings_digest

MINIMAL: dict[str, Any] = {"keyword": "jarvis", "data": {"manifests": ["a.csv"]}}
SECTIONS = [name for name, field in Recipe.model_fields.items() if name != "keyword"]
REPOSITORY_RECIPES = sorted((Path(__file__).parents[1] / "recipes").glob("*.yaml"))


def write(folder: Path, text: str) -> Path:
    file = folder / "recipe.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def minimal(folder: Path) -> Path:
    return write(folder, yaml.safe_dump(MINIMAL))


def parsed(**changes: Any) -> Recipe:
    return parse_recipe({**MINIMAL, **changes}, "test")


def test_defaults_are_the_mission() -> None:
    recipe = parsed()
    assert (recipe.training.seed, recipe.split.seed) == (42, 42)
    assert recipe.training.label_smoothing == 0.05
    assert recipe.batches.ratio == (1, 1, 1)
    assert recipe.split.folds == 5
    detector = recipe.detector
    assert (detector.hop_s, detector.votes, detector.ballots) == (0.1, 3, 5)
    assert (detector.hysteresis, detector.lockout_s) == (0.1, 1.5)
    assert recipe.network.window_s == "auto"
    assert (recipe.batches.workers, recipe.batches.validation_workers, recipe.batches.prefetch) == (16, 8, 4)


@pytest.mark.parametrize("section", SECTIONS)
def test_a_typo_in_a_section_names_the_field(section: str) -> None:
    given_fields = MINIMAL["data"] if section == "data" else {}
    with pytest.raises(ConfigError, match=rf"^test: not a valid recipe\n  {section}\.epochz: "):
        parsed(**{section: {**given_fields, "epochz": 3}})


def test_a_typo_in_a_section_name() -> None:
    with pytest.raises(ConfigError, match=r"\n  trainning: "):
        parsed(trainning={"epochs": 3})


def test_all_mistakes_are_listed_at_once() -> None:
    with pytest.raises(ConfigError) as error:
        parse_recipe({"data": {"manifests": []}, "training": {"epochs": "many"}, "augmnt": {}}, "r.yaml")
    message = str(error.value)
    for field in ("keyword", "data.manifests", "training.epochs", "augmnt"):
        assert f"\n  {field}: " in message


@pytest.mark.parametrize(
    ("section", "field", "value"),
    [
        ("training", "epochs", "many"),
        ("training", "epochs", 2.5),
        ("training", "learning_rate", None),
        ("training", "seed", [1]),
        ("network", "size", "huge"),
        ("batches", "ratio", [1, 1]),
        ("detector", "votes", "three"),
        ("cache", "max_ram_gb", -1),
        ("cache", "workers", 0),
        ("calibration", "target_fah", 0),
        ("evaluation", "snr_db", 10),
        ("data", "max_bad_share", 1.5),
        ("data", "manifests", "a.csv"),
        ("split", "test", {}),
    ],
)
def test_a_wrong_type_or_range_names_the_field(section: str, field: str, value: object) -> None:
    given_fields = MINIMAL["data"] if section == "data" else {}
    with pytest.raises(ConfigError, match=rf"{section}\.{field}"):
        parsed(**{section: {**given_fields, field: value}})


@pytest.mark.parametrize(
    ("section", "fields"),
    [
        ("training", {"epochs": 0}),
        ("training", {"learning_rate": 0.0}),
        ("training", {"label_smoothing": 1.0}),
        ("batches", {"size": 1}),
        ("batches", {"prefetch": 0}),
        ("split", {"test": 0.5, "validation": 0.5}),
        ("split", {"fold": 5}),
        ("augment", {"snr_low_db": 10, "snr_high_db": 0}),
        ("detector", {"votes": 6}),
        ("detector", {"hop_s": 0.03}),
        ("network", {"dropout": 1.0}),
    ],
)
def test_a_value_out_of_range_names_the_section(section: str, fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^test: {section}"):
        parsed(**{section: fields})


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    ("section", "field"),
    [
        ("training", "learning_rate"),
        ("calibration", "target_fah"),
        ("augment", "gain_db"),
        ("batches", "extra_s"),
        ("detector", "hysteresis"),
        ("frontend", "floor_power"),
        ("network", "window_s"),
        ("split", "test"),
    ],
)
def test_nan_and_infinity_are_no_values(section: str, field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"{section}\.{field}"):
        parsed(**{section: {field: value}})


def test_a_section_that_is_no_mapping() -> None:
    with pytest.raises(ConfigError, match="training"):
        parsed(training=3)


def test_overrides(tmp_path: Path) -> None:
    recipe = load_recipe(
        minimal(tmp_path),
        [
            "training.epochs=10",
            "training.learning_rate=1e-3",
            "network.size=small",
            "batches.ratio=[1, 2, 1]",
            "data.manifests=[x.csv, y.csv]",
            "keyword=hey uyan",
            "cache.folder=null",
            "training.epochs=11",
        ],
    )
    assert (recipe.training.epochs, recipe.network.size, recipe.batches.ratio) == (11, "small", (1, 2, 1))
    assert recipe.training.learning_rate == 0.001
    assert recipe.data.manifests == ("x.csv", "y.csv")
    assert (recipe.keyword, recipe.cache.folder) == ("hey uyan", None)
    assert recipe.training.seed == 42


def test_an_override_may_hold_an_equals_sign(tmp_path: Path) -> None:
    assert load_recipe(minimal(tmp_path), ["data.manifests=[a=b.csv]"]).data.manifests == ("a=b.csv",)


def test_an_override_leaves_the_file_alone(tmp_path: Path) -> None:
    file = minimal(tmp_path)
    before = file.read_bytes()
    load_recipe(file, ["training.epochs=10"])
    assert file.read_bytes() == before


@pytest.mark.parametrize("override", ["training.epochs", "=3", ""])
def test_an_override_without_key_or_value(tmp_path: Path, override: str) -> None:
    with pytest.raises(ConfigError, match=r"write it as key=value, training\.epochs=10 for example"):
        load_recipe(minimal(tmp_path), [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochz=3", r"training\.epochz"),
        ("keyword.epochs=3", "keyword is not a section"),
        ("data.manifests.a=3", "manifests is not a section"),
        ("batches.ratio=[1, 2", "the value is not YAML"),
        ("training.epochs=", r"training\.epochs"),
        ("training..epochs=3", "training"),
        ("training.learning_rate=.nan", r"training\.learning_rate"),
        ("training.init=word", r"training\.init must be one of auto, scratch, words, or a trunk or bundle .* 'word'"),
        ("training.init=model.pt", r"training\.init must be one of .* not 'model\.pt'"),
        ("batches.ratio=[1, 1, 4]", r"batches\.ratio \(1, 1, 4\) gives hard negatives 67% of a batch"),
    ],
)
def test_an_override_that_fits_nothing(tmp_path: Path, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(minimal(tmp_path), [override])


def leaves(value: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, (*path, key))]
    return [(path, value)]


def changed(value: Any, path: tuple[str, ...]) -> Any:
    """Another value of the same kind that is still valid at that place."""
    special = {
        ("network", "size"): "small",
        ("network", "window_s"): 1.2,
        ("detector", "hop_s"): 0.2,
        ("detector", "votes"): 2,
        ("split", "fold"): 1,
        ("data", "manifests"): ["b.csv"],
        ("data", "loader"): "files",
        ("training", "epochs"): 7,
        ("training", "focal_switch"): "never",
        ("mining", "manifests"): ["more.csv"],
        ("evaluation", "near_words"): ["near.csv"],
        ("training", "init"): "words",
        ("batches", "ratio"): [1, 2, 1],
        ("cache", "folder"): "elsewhere",
        ("search",): {"fields": {"training.epochs": [3, 4]}},
    }
    if path in special:
        return special[path]
    if value is None:
        return 1  # a limit where there was none
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value + "x"
    if isinstance(value, list):
        return [item + 1 for item in value]
    if isinstance(value, int):
        return value + 1
    return 0.5 * value if value else 0.25


LEAVES = leaves(
    json.loads(parsed(cache={"max_ram_gb": 1.0, "workers": 1, "folder": "x", "read_from": "y"}).model_dump_json())
)


@pytest.mark.parametrize(("path", "value"), LEAVES, ids=[".".join(path) for path, _ in LEAVES])
def test_the_hash_changes_with_every_field_that_can_change_a_figure(path: tuple[str, ...], value: Any) -> None:
    raw = yaml.safe_load(parsed().to_yaml())
    place = raw
    for section in path[:-1]:
        place = place[section]
    place[path[-1]] = changed(value, path)
    other = parse_recipe(raw, "test")
    assert other != parsed()
    without_effect = path[0] in APART or path in NO_EFFECT
    assert (other.digest() == parsed().digest()) is without_effect
    judging = path[0] == "evaluation"
    assert (other.training_digest() == parsed().training_digest()) is (without_effect or judging)


def test_a_loader_that_is_left_open_counts_in_no_hash() -> None:
    """Recipes and runs from before the field have the hash they had."""
    fields = json.loads(parsed().model_dump_json(exclude=set(APART)))
    assert fields["data"].pop("loader") == "auto"
    assert settings_digest(fields) == parsed().digest()
    other = [parsed(data={"manifests": ["a.csv"], "loader": loader}).digest() for loader in ("resident", "files")]
    assert len({*other, parsed().digest()}) == 3


def test_the_hash_is_of_the_values_and_not_of_the_spelling(tmp_path: Path) -> None:
    plain = load_recipe(minimal(tmp_path))
    (tmp_path / "other").mkdir()
    spelt = "training: {seed: 42, learning_rate: 0.001}\ndata:\n  manifests: ['a.csv']\nkeyword: jarvis\n"
    assert load_recipe(write(tmp_path / "other", spelt)).digest() == plain.digest()
    assert len(plain.digest()) == 64


@settings(max_examples=40)
@given(
    keyword=st.text(min_size=1, max_size=8).filter(lambda text: bool(text.strip()) and text.isprintable()),
    manifests=st.lists(st.text(max_size=8).filter(lambda text: text.isprintable()), min_size=1, max_size=3),
    rate=st.floats(1e-9, 1e3),
    ratio=st.tuples(st.integers(1, 9), st.integers(1, 9), st.integers(0, 9)),
    snr_db=st.lists(st.floats(-50, 50), max_size=3),
    ram=st.none() | st.floats(0.001, 99),
)
def test_yaml_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    keyword: str,
    manifests: list[str],
    rate: float,
    ratio: tuple[int, int, int],
    snr_db: list[float],
    ram: float | None,
) -> None:
    recipe = parsed(
        keyword=keyword,
        data={"manifests": manifests},
        training={"learning_rate": rate},
        batches={"ratio": ratio},
        mining={"rounds": 0},
        evaluation={"snr_db": snr_db},
        cache={"max_ram_gb": ram},
    )
    again = load_recipe(write(tmp_path_factory.getbasetemp(), recipe.to_yaml()))
    assert again == recipe
    assert again.digest() == recipe.digest()


def test_to_yaml_spells_out_every_default() -> None:
    assert set(yaml.safe_load(parsed().to_yaml())) == {"keyword", *SECTIONS} - {"search"}


@pytest.mark.parametrize("file", REPOSITORY_RECIPES, ids=lambda file: file.stem)
def test_the_repository_s_recipes_are_valid(file: Path) -> None:
    assert load_recipe(file).data.manifests


def test_there_are_recipes_in_the_repository() -> None:
    assert REPOSITORY_RECIPES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a recipe is a mapping of sections"),
        ("- a\n- b\n", "a recipe is a mapping of sections"),
        ("just text", "a recipe is a mapping of sections"),
        ("keyword: [unclosed", "cannot be read as YAML"),
        ("a: b: c", "cannot be read as YAML"),
        ("keyword: 2001-99-99", "cannot be read as YAML"),
        ("keyword: *nowhere", "cannot be read as YAML"),
        ("? [a]\n: b", "cannot be read as YAML"),
        ("[" * 2_000, "cannot be read as YAML"),
        ("1: 2", r"not a valid recipe"),
        ("&a {keyword: *a}", r"\n  keyword: "),
    ],
)
def test_a_file_that_is_no_recipe(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"recipe\.yaml: .*{message}|{message}"):
        load_recipe(write(tmp_path, text))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_bytes(b"keyword: \xff\xfe")
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_recipe(file)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read \(No such file or directory\)"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="a folder; name a recipe"):
        load_recipe(tmp_path)


def test_a_yaml_error_says_where_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe(write(tmp_path, "keyword: uyan\ndata: a: b\n"))
    assert str(error.value).endswith("(line 2, column 8: mapping values are not allowed here)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("traning: {}", "traning: no such setting; did you mean training?"),
        ("batches: {ratoi: 3}", "batches.ratoi: no such setting; did you mean ratio?"),
        ("cache: {qqq: 3}", "cache.qqq: no such setting; there are folder, max_ram_gb, read_from, remote_gb, workers"),
    ],
)
def test_an_unknown_setting_names_the_one_that_was_meant(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_recipe(write(tmp_path, f"keyword: uyan\ndata: {{manifests: [a.csv]}}\n{text}\n"))
    assert f"  {message}" in str(error.value).splitlines()


@pytest.mark.parametrize("tag", ["!!python/object/apply:pathlib.Path.touch", "!!python/object/new:os.system"])
def test_a_tag_runs_nothing(tmp_path: Path, tag: str) -> None:
    victim = tmp_path / "victim"
    with pytest.raises(ConfigError, match="cannot be read as YAML"):
        load_recipe(write(tmp_path, f"keyword: {tag} ['touch {victim}']\n"))
    assert not victim.exists()


@pytest.mark.parametrize("field", ["keyword", "training", "unknown"])
def test_a_thousand_million_laughs_are_not_told(tmp_path: Path, field: str) -> None:
    lines = ["bomb:", "- &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"- &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    with pytest.raises(ConfigError) as error:
        load_recipe(write(tmp_path, "\n".join([*lines, f"{field}: *a11", ""])))
    assert len(str(error.value)) < 1000


def test_a_hop_longer_than_the_window_is_refused_before_any_training() -> None:
    raw = {"keyword": "jarvis", "data": {"manifests": ["m.csv"]}, "detector": {"hop_s": 1.2}}
    with pytest.raises(ConfigError, match=r"detector\.hop_s 1\.2 is longer than network\.window_s 1"):
        parse_recipe(raw, "recipe")


@pytest.mark.parametrize("keyword", ["  ", "a\x1b[2J"])
def test_a_keyword_that_cannot_be_shown_is_refused(keyword: str) -> None:
    with pytest.raises(ConfigError, match="keyword"):
        parse_recipe({"keyword": keyword, "data": {"manifests": ["m.csv"]}}, "recipe")


def test_the_keyword_is_read_as_labels_are() -> None:
    assert parse_recipe({"keyword": " Zoe\u0308 ", "data": {"manifests": ["m.csv"]}}, "recipe").keyword == "Zo\u00eb"
