"""Every data set: what of it becomes which row, by which speaker, in which official split, under which terms."""

from collections.abc import Callable
from pathlib import Path

import pytest

from uyan.data.importers.catalogue import IMPORTERS, import_data_set
from uyan.data.manifest import load_manifests
from uyan.data.recording import Recording
from uyan.errors import DataError

Tree = Callable[..., Path]


def imported(name: str, folder: Path, terms: str, **options: str) -> dict[str, Recording]:
    """What the manifest lists; all of it under these terms."""
    made = import_data_set(name, folder, **options)  # type: ignore[arg-type]
    read = load_manifests([made.manifest])
    assert read == made.recordings
    assert {r.source for r in read} == {name}
    assert {r.license for r in read} == {terms}
    return {r.path: r for r in read}


def facts(recording: Recording) -> tuple[str, str, str, str]:
    speaker = recording.speaker_id if recording.speaker_known else ""
    return recording.kind, recording.label, speaker, recording.split


def test_speech_commands(tree: Tree) -> None:
    folder = tree(
        "bed/00176480_nohash_0.wav", "bed/004ae714_nohash_0.wav", "yes/004ae714_nohash_1.wav",
        "_background_noise_/pink_noise.wav",
        texts={
            "validation_list.txt": "bed/00176480_nohash_0.wav\n",
            "testing_list.txt": "bed/004ae714_nohash_0.wav\n",
            "_background_noise_/README.md": "sounds",
        },
    )  # fmt: skip
    found = imported("speech-commands", folder, "CC BY 4.0")
    assert {path: facts(r) for path, r in found.items()} == {
        "bed/00176480_nohash_0.wav": ("keyword", "bed", "sc:00176480", "validation"),
        "bed/004ae714_nohash_0.wav": ("keyword", "bed", "sc:004ae714", "test"),
        "yes/004ae714_nohash_1.wav": ("keyword", "yes", "sc:004ae714", "train"),
        "_background_noise_/pink_noise.wav": ("noise", "noise", "", ""),
    }
    assert all(r.duration_s == 0.5 for r in found.values())


def test_the_first_speech_commands(tree: Tree) -> None:
    """Thirty words, among them none of the five that the second version adds; the lists are named and read alike."""
    folder = tree(
        "bird/0a7c2a8d_nohash_0.wav", "marvin/0a7c2a8d_nohash_1.wav", "sheila/c50f55b8_nohash_0.wav",
        "happy/00b01445_nohash_0.wav", "_background_noise_/dude_miaowing.wav", "_background_noise_/running_tap.wav",
        texts={
            "README.md": "## Speech Commands Data Set v0.01",
            "LICENSE": "Creative Commons",
            "validation_list.txt": "sheila/c50f55b8_nohash_0.wav\n",
            "testing_list.txt": "bird/0a7c2a8d_nohash_0.wav\nmarvin/0a7c2a8d_nohash_1.wav\nbird/gone_nohash_0.wav\n",
        },
    )  # fmt: skip
    found = imported("speech-commands", folder, "CC BY 4.0")
    assert {path: facts(r) for path, r in found.items()} == {
        "bird/0a7c2a8d_nohash_0.wav": ("keyword", "bird", "sc:0a7c2a8d", "test"),
        "marvin/0a7c2a8d_nohash_1.wav": ("keyword", "marvin", "sc:0a7c2a8d", "test"),
        "sheila/c50f55b8_nohash_0.wav": ("keyword", "sheila", "sc:c50f55b8", "validation"),
        "happy/00b01445_nohash_0.wav": ("keyword", "happy", "sc:00b01445", "train"),
        "_background_noise_/dude_miaowing.wav": ("noise", "noise", "", ""),
        "_background_noise_/running_tap.wav": ("noise", "noise", "", ""),
    }


def test_multilingual_spoken_words(tree: Tree) -> None:
    rows = [
        "TRAIN,evet/common_voice_tr_1.opus,evet,True,ab12,FEMALE",
        "DEV,hayır/common_voice_tr_2.opus,hayır,True,cd34,MALE",
        "TEST,evet/common_voice_tr_3.opus,evet,True,NA,NAN",
        "TEST,evet/common_voice_tr_4.opus,evet,False,ef56,OTHER",
    ]
    audio = [f"clips/{row.split(',')[1]}" for row in rows]
    folder = tree(*audio, texts={"tr_splits.csv": "\n".join(["SET,LINK,WORD,VALID,SPEAKER,GENDER", *rows, ""])})
    found = imported("mswc", folder, "CC BY 4.0")
    assert [facts(r) for r in found.values()] == [
        ("keyword", "evet", "cv:ab12", "train"),
        ("keyword", "hayır", "cv:cd34", "validation"),
        ("keyword", "evet", "", "test"),
    ]
    assert all(r.duration_s == pytest.approx(0.5, abs=0.05) for r in found.values())


def test_common_voice(tree: Tree) -> None:
    header = "client_id\tpath\tsentence\tup_votes\tlocale"
    lines = [f'c{n}\tcommon_voice_tr_{n}.mp3\t"Günaydın, dünya {n}\t2\ttr' for n in range(4)]
    tables = {"validated.tsv": lines, "train.tsv": lines[:1], "dev.tsv": lines[1:2], "test.tsv": lines[2:3]}
    folder = tree(
        *(f"clips/common_voice_tr_{n}.mp3" for n in range(4)),
        texts={name: "\n".join([header, *chosen, ""]) for name, chosen in tables.items()},
    )
    found = imported("common-voice", folder, "CC0 1.0")
    assert {path[-5]: facts(r) for path, r in found.items()} == {
        "0": ("negative", "speech", "cv:c0", "train"),
        "1": ("negative", "speech", "cv:c1", "validation"),
        "2": ("negative", "speech", "cv:c2", "test"),
        "3": ("negative", "speech", "cv:c3", ""),
    }


def test_librispeech(tree: Tree) -> None:
    names = ("train-clean-100/103/1240/103-1240-0000", "dev-clean/84/121123/84-121123-0001", "test-other/367/1/367-1-2")
    folder = tree(
        *(f"{name}.flac" for name in names),
        texts={"SPEAKERS.TXT": "; id", "dev-clean/84/121123/84-121123.trans.txt": "84-121123-0001 HELLO JARVIS\n"},
    )
    found = imported("librispeech", folder, "CC BY 4.0")
    assert [facts(found[f"{name}.flac"]) for name in names] == [
        ("negative", "speech", "librispeech:103", "train"),
        ("negative", "speech", "librispeech:84", "validation"),
        ("negative", "speech", "librispeech:367", "test"),
    ]
    assert len(imported("librispeech", folder, "CC BY 4.0", keyword="Jarvis")) == 2


def test_musan(tree: Tree) -> None:
    audio = ("music/fma/music-fma-0000.wav", "noise/free-sound/noise-free-sound-0000.wav", "speech/librivox/speech.wav")
    folder = tree(*audio, texts={"music/fma/LICENSE": "works"})
    found = imported("musan", folder, "CC BY 4.0; the LICENSE file of each folder names the works in it")
    assert {path: facts(r)[:2] for path, r in found.items()} == {
        audio[0]: ("noise", "music"), audio[1]: ("noise", "noise"), audio[2]: ("negative", "speech"),
    }  # fmt: skip


def test_demand_takes_one_microphone(tree: Tree) -> None:
    found = imported("demand", tree("DKITCHEN/ch01.wav", "DKITCHEN/ch02.wav", "TBUS/ch01.wav"), "CC BY-SA 3.0")
    assert [facts(r) for r in found.values()] == [("noise", "dkitchen", "", ""), ("noise", "tbus", "", "")]


def test_esc50(tree: Tree) -> None:
    table = (
        "filename,fold,target,category,esc10,src_file,take\n"
        "1-100032-A-0.wav,1,0,dog,True,100032,A\n1-100038-A-14.wav,1,14,chirping_birds,False,100038,A\n"
    )
    folder = tree("audio/1-100032-A-0.wav", "audio/1-100038-A-14.wav", texts={"meta/esc50.csv": table})
    found = import_data_set("esc-50", folder).recordings
    assert [facts(r) for r in found] == [
        ("noise", "dog", "esc50:100032", ""),
        ("noise", "chirping_birds", "esc50:100038", ""),
    ]
    assert [r.license for r in found] == ["CC BY 3.0", "CC BY-NC 3.0"]


def test_room_responses(tree: Tree) -> None:
    real = "real_rirs_isotropic_noises/"
    groups = {
        "simulated_rirs/smallroom/Room001/Room001-00001.wav": ("rir", "smallroom", "smallroom:Room001"),
        f"{real}RVB2014_type1_rir_largeroom1_far_angla.wav": ("rir", "real", "RVB2014:largeroom1"),
        f"{real}RVB2014_type1_rir_largeroom1_near_anglb.wav": ("rir", "real", "RVB2014:largeroom1"),
        f"{real}RVB2014_type1_noise_largeroom1_1.wav": ("noise", "isotropic", "RVB2014:largeroom1"),
        f"{real}RVB2014_type1_noise_largeroom1_10.wav": ("noise", "isotropic", "RVB2014:largeroom1"),
        f"{real}RVB2014_type1_noise_largeroom2_8.wav": ("noise", "isotropic", "RVB2014:largeroom2"),
        f"{real}RVB2014_type2_rir_simroom1_far_angla.wav": ("rir", "real", "RVB2014:simroom1"),
        f"{real}RWCP_type1_rir_circle_ane_imp000.wav": ("rir", "real", "RWCP:ane"),
        f"{real}RWCP_type1_rir_circle_e1c_imp010.wav": ("rir", "real", "RWCP:e1c"),
        f"{real}RWCP_type2_rir_cirline_ofc_imp090.wav": ("rir", "real", "RWCP:ofc"),
        f"{real}RWCP_type2_rir_cirline_ofc_imp130.wav": ("rir", "real", "RWCP:ofc"),
        f"{real}RWCP_type3_rir_cirline_ofc_imp_rev.wav": ("rir", "real", "RWCP:ofc"),
        f"{real}RWCP_type5_noise_cirline_ofc_ambient1.wav": ("noise", "isotropic", "RWCP:ofc"),
        f"{real}RWCP_type4_rir_000l.wav": ("rir", "real", "RWCP:type4"),
        f"{real}RWCP_type4_rir_p30l.wav": ("rir", "real", "RWCP:type4"),
        f"{real}RWCP_type4_rir_p30r.wav": ("rir", "real", "RWCP:type4"),
        f"{real}RWCP_type4_rir_m50r.wav": ("rir", "real", "RWCP:type4"),
        f"{real}air_type1_air_binaural_booth_0_1.wav": ("rir", "real", "air:booth"),
        f"{real}air_type1_air_binaural_booth_1_3.wav": ("rir", "real", "air:booth"),
        f"{real}air_type1_air_binaural_aula_carolina_1_3_135_3.wav": ("rir", "real", "air:aula_carolina"),
        f"{real}air_type1_air_binaural_stairway_1_2_60.wav": ("rir", "real", "air:stairway"),
        f"{real}air_type1_air_phone_stairway_hhp.wav": ("rir", "real", "air:stairway"),
        f"{real}air_type1_air_phone_stairway2_hfrp.wav": ("rir", "real", "air:stairway"),
        f"{real}air_type1_air_phone_bt_stairway_hhp.wav": ("rir", "real", "air:stairway"),
        f"{real}somebody_elses_room.wav": ("rir", "real", "somebody_elses_room"),
        "pointsource_noises/noise-free-sound-0000.wav": ("noise", "point source", ""),
    }
    found = imported("slr28", tree(*groups), "Apache 2.0")
    assert {path: facts(r) for path, r in found.items()} == {
        path: (kind, label, group and f"slr28:{group}", "") for path, (kind, label, group) in groups.items()
    }


@pytest.mark.parametrize("name", IMPORTERS)
def test_another_layout_is_refused_in_words(tree: Tree, name: str) -> None:
    folder = tree("somewhere/else.wav")
    with pytest.raises(DataError, match=f"{folder}: is not .*should hold|cannot be read|has 0 tables"):
        import_data_set(name, folder)
    assert not (folder / "manifest.csv").exists()
