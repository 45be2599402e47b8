"""From manifests to training material: check every file, place every recording, cache its features."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from uyan.audio_file import read_part
from uyan.data.cache import FeatureCache, extract
from uyan.data.check import CheckReport, check, write_quarantine
from uyan.data.duplicates.duplicate_groups import find_links, groups
from uyan.data.examples import ExampleMaker, Positive, Segment, crop_frames, segments
from uyan.data.licences import forbids_commercial_use, licence_names
from uyan.data.limit import expectation, limit_positives, training_positives, without_synthetic
from uyan.data.locate import Span, locate_word
from uyan.data.manifest import load_manifests
from uyan.data.member import SPLITS, SPLITS_FILE, Member, Split, is_positive, save_splits
from uyan.data.mixing import draw_weights, share_advice
from uyan.data.recording import engine_of, unknown_speakers
from uyan.data.split import assign, leakage_guard
from uyan.data.variant_features import extract_variants
from uyan.data.variants import VariantTable
from uyan.errors import DataError
from uyan.files import replacing
from uyan.frontend import Cmvn, seconds_to_frames
from uyan.pipeline.feature_room import feature_bytes
from uyan.pipeline.window import settle_window
from uyan.pipeline.workspace import Workspace
from uyan.storage.folder import list_folder

QUARANTINED_SHOWN = 20
DUPLICATES_VERSION = 1
"""Of the search whose groups are remembered; another search must not decide by them."""


@dataclass(frozen=True)
class Material:
    """What training and evaluation work on."""

    members: list[Member]
    cache: FeatureCache
    cmvn: Cmvn
    words: dict[str, Span]
    """Where the word is in each positive of training and validation, by content hash."""
    variants: VariantTable
    """Which variants a recording of the training split has in the cache."""

    def positives(self, split: Split, keyword: str) -> list[Member]:
        """Recordings of the keyword that take part."""
        return [m for m in self._of(split) if is_positive(m.recording, keyword)]

    def negatives(self, split: Split, keyword: str) -> list[Member]:
        """Everything else that is heard: other words, other speech, noise."""
        kinds = ("keyword", "negative", "noise")
        return [m for m in self._of(split) if m.recording.kind in kinds and not is_positive(m.recording, keyword)]

    def noise(self, split: Split) -> list[Member]:
        """Background to mix in."""
        return [m for m in self._of(split) if m.recording.kind == "noise"]

    def variant_count(self, member: Member, keyword: str) -> int:
        """Variants of a recording besides itself: only what is spoken, and only to train with."""
        if member.split != "train" or member.recording.kind == "noise":
            return 0
        config = self.variants.config
        return config.positive if is_positive(member.recording, keyword) else config.negative

    def _of(self, split: Split) -> list[Member]:
        return [m for m in self.members if m.split == split and m.active]


def check_recordings(run: Workspace) -> CheckReport:
    """Decode everything; stop when too much of it is unusable, and before that where a needed store is unreadable."""
    cache = run.cache()
    if cache.store is not None and not cache.folder.exists():
        list_folder(cache.store)
    recordings = load_manifests(run.manifests)
    workers, probes = run.recipe.cache.workers, run.cache_folder / "probes.parquet"
    report = check(recordings, workers=workers, progress=run.progress, cache_file=probes)
    quarantine = run.out / "quarantine.csv"
    write_quarantine(report, quarantine)
    report.enforce(run.recipe.data.max_bad_share, quarantine)
    run.quarantined = [(entry.recording.path, entry.reason) for entry in report.quarantined]
    if report.quarantined:
        run.warn(f"{len(report.quarantined)} recording(s) cannot be used, see {quarantine.name}")
    unknown = unknown_speakers([recording for recording, _ in report.good])
    if unknown:
        run.warn(f"{unknown} recording(s) have no speaker_id: the split between speakers may leak")
    return report


def split_recordings(run: Workspace, report: CheckReport) -> list[Member]:
    """Place every usable recording; write `splits.csv`."""
    recordings = [recording for recording, _ in report.good]
    probes = [probe for _, probe in report.good]
    groups = _duplicate_groups(run, report)
    keyword, data = run.recipe.keyword, run.recipe.data
    members = assign(recordings, probes, groups, keyword, run.recipe.split)
    repeats = sum(not m.counted for m in members)
    excluded = sum(bool(m.excluded) for m in members)
    members = limit_positives(members, keyword, data.max_positives, data.max_positive_speakers, run.recipe.split.seed)
    if data.synthetic_share == 0:
        members = without_synthetic(members)
    save_splits(members, run.out / SPLITS_FILE)
    _require_all_splits(members, keyword)
    if repeats or excluded:
        run.tell(
            f"near-duplicates: {repeats} repeated take(s) count once, {excluded} left out because another split "
            "has the same take"
        )
    spoken = [m.recording for _, m in training_positives(members, keyword)]
    if advice := share_advice(spoken, data.synthetic_share):
        run.tell(advice)
    learnt = [recording for recording in spoken if not recording.synthetic]
    expected = expectation(len(learnt), len({recording.speaker_id for recording in learnt})) if learnt else None
    if expected:
        run.warn(expected)
    return members


def _require_all_splits(members: Sequence[Member], keyword: str) -> None:
    """Raise DataError now if a split has nothing to learn from or be judged on, not after hours of training."""
    for split in SPLITS:
        heard = [m.recording for m in members if m.split == split and m.active and m.recording.kind != "rir"]
        positives = sum(is_positive(recording, keyword) for recording in heard)
        if not positives or positives == len(heard):
            raise DataError(
                f"the {split} split has {positives} recordings of {keyword!r} and {len(heard) - positives} others; "
                "add speakers, or change split.seed"
            )


def _duplicate_groups(run: Workspace, report: CheckReport) -> list[list[int]]:
    """Near-duplicate takes among what is split (not room responses), remembered for the same set of recordings."""
    chosen = [i for i, (recording, _) in enumerate(report.good) if recording.kind != "rir"]
    contents = hashlib.sha256("".join(report.good[i][1].content_sha1 for i in chosen).encode()).hexdigest()
    memory = run.cache_folder / "duplicates" / f"v{DUPLICATES_VERSION}-{contents[:32]}.json"
    found = _remembered(memory)
    if found is None:
        prints = [report.good[i][1].fingerprint for i in chosen]
        files = [report.good[i][0].file for i in chosen]
        workers, mark = run.recipe.cache.workers, run.given_up().mark("duplicates")
        links = find_links(prints, files, read_part, workers=workers, progress=run.progress, mark=mark)
        found = groups(links, len(prints))
        with replacing(memory) as partial:
            partial.write_text(json.dumps(found), encoding="utf-8")
    return [[chosen[number] for number in group] for group in found]


def _remembered(memory: Path) -> list[list[int]] | None:
    """Groups found before; None where there are none, or where the file is damaged."""
    try:
        found: list[list[int]] = json.loads(memory.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def make_features(run: Workspace, members: Sequence[Member]) -> Material:
    """Cache features, take CMVN over the training split, locate the word in its clips."""
    leakage_guard(members)
    cache = run.cache()
    spoken = [m for m in members if m.active and m.recording.kind != "rir" and m.split != "test"]
    given_up, workers = run.given_up(), run.recipe.cache.workers
    extract([(m.recording.file, m.content_sha1) for m in spoken], cache, workers, run.progress, given_up)
    train = [m for m in spoken if m.split == "train"]
    cmvn = Cmvn.merge(Cmvn.of(cache.read(m.content_sha1), cache.config) for m in train)
    cmvn.save(run.out / "stats.json")
    positives = [m for m in spoken if is_positive(m.recording, run.recipe.keyword)]
    words = {m.content_sha1: _word(m, cache) for m in positives}
    settle_window(run, list(words.values()))
    run.feature_bytes = feature_bytes(members, run.recipe)
    rooms = sorted(
        ((m.content_sha1, m.recording.file) for m in members if m.recording.kind == "rir" and m.active), key=str
    )
    table = VariantTable(run.recipe.variants, tuple(sha1 for sha1, _ in rooms))
    material = Material(list(members), cache, cmvn, words, table)
    wanted = [(m.recording.file, m.content_sha1, material.variant_count(m, run.recipe.keyword)) for m in train]
    responses = [(file, sha1) for sha1, file in rooms]
    extract_variants(wanted, responses, cache, run.recipe.variants, workers, run.progress, given_up)
    return material


def _word(member: Member, cache: FeatureCache) -> Span:
    """Where the word is: as the manifest says, or found by its energy."""
    if not (said_s := member.recording.said_s):
        return locate_word(cache.get(member.content_sha1))
    start, end = (seconds_to_frames(at_s) for at_s in said_s)
    return Span(start, max(start + 1, end))


def example_maker(
    run: Workspace,
    material: Material,
    split: Split,
    words: Mapping[str, Span] | None = None,
    hard: Sequence[Segment] = (),
) -> ExampleMaker:
    """Examples of the training split, augmented, or of the validation split, as they are.

    `words` says where the positives' words are, where the network knows better than their energy; `hard` are windows of
    the hard-negative pool.
    """
    keyword, spans = run.recipe.keyword, words or material.words
    spoken = material.positives(split, keyword)
    positives = [
        Positive(m.content_sha1, spans[m.content_sha1], material.variant_count(m, keyword), weight)
        for m, weight in zip(spoken, _weights(run, spoken), strict=True)
    ]
    if not positives:
        raise DataError(f"no recordings of {keyword!r} in the {split} split; add speakers, or change split.seed")
    backgrounds = stretches(run, material, material.noise(split)) if split == "train" else []
    if split == "train" and not backgrounds and run.recipe.augment.background_share:
        run.warn("no noise recordings to train with: background mixing is off, expect misses in noise")
    return ExampleMaker(
        material.cache,
        positives,
        stretches(run, material, material.negatives(split, keyword)),
        backgrounds,
        run.recipe.batches,
        run.recipe.augment if split == "train" else None,
        run.window_frames,
        variants=material.variants,
        hard=hard,
    )


def stretches(run: Workspace, material: Material, members: Sequence[Member]) -> list[Segment]:
    """Recordings cut into pieces of one crop, with the variants they have."""
    length = crop_frames(run.recipe.batches, run.window_frames)
    found: list[Segment] = []
    heard: list[Member] = []
    lengths = material.cache.lengths([member.content_sha1 for member in members])
    for member, frames in zip(members, lengths.tolist(), strict=True):
        found += segments(member.content_sha1, frames, length, material.variant_count(member, run.recipe.keyword))
        heard += [member] * (len(found) - len(heard))
    return [segment._replace(weight=weight) for segment, weight in zip(found, _weights(run, heard), strict=True)]


def _weights(run: Workspace, heard: Sequence[Member]) -> list[float]:
    """How often the items of these members are drawn; one item each."""
    data = run.recipe.data
    weights = draw_weights([m.recording for m in heard], data.synthetic_share, data.source_weights)
    return [float(weight) for weight in weights]


def data_summary(run: Workspace, members: Sequence[Member]) -> dict[str, Any]:
    """Counts, hours and speakers of each split, and what weakens them."""
    keyword = run.recipe.keyword
    splits: dict[str, Any] = {}
    for split in SPLITS:
        active = [m for m in members if m.split == split and m.active and m.recording.kind != "rir"]
        positives = [m for m in active if is_positive(m.recording, keyword)]
        others = [m for m in active if not is_positive(m.recording, keyword)]
        splits[split] = {
            "positives": len(positives),
            "positive_speakers": len({m.recording.speaker_id for m in positives}),
            "synthetic_positives": sum(m.recording.synthetic for m in positives),
            "synthetic_speakers": len({m.recording.speaker_id for m in positives if m.recording.synthetic}),
            "negative_hours": sum(m.duration_s for m in others) / 3600,
            "synthetic_hours": sum(m.duration_s for m in others if m.recording.synthetic) / 3600,
            "negative_speakers": len({m.recording.speaker_id for m in others if m.recording.kind != "noise"}),
        }
    licenses = Counter(m.recording.license for m in members if m.active)
    return {
        "splits": splits,
        "unknown_speakers": unknown_speakers([m.recording for m in members]),
        "repeated_takes": sum(not m.counted for m in members),
        "quarantined": len(run.quarantined),
        "quarantined_first": run.quarantined[:QUARANTINED_SHOWN],
        "licenses": licence_names(licenses),
        "restricted": _restricted(licenses),
        "synthetic_engines": sorted({engine_of(m.recording.speaker_id) for m in _trained(members)} - {""}),
        "synthetic_share": run.recipe.data.synthetic_share,
    }


def _trained(members: Sequence[Member]) -> list[Member]:
    return [m for m in members if m.split == "train" and m.active]


def _restricted(licenses: Mapping[str, int]) -> str:
    """How many recordings of a licence that forbids commercial use there are; empty where there are none."""
    forbidding = {license: count for license, count in licenses.items() if forbids_commercial_use(license)}
    if not forbidding:
        return ""
    total, names = sum(licenses.values()), "; ".join(sorted(forbidding))
    return f"{sum(forbidding.values()):,} of the {total:,} recordings behind it forbid that ({names})"
