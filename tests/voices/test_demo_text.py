from uyan.voices.demo_text import CONFUSABLES, SENTENCES, STREAM_SENTENCES


def test_no_negative_text_holds_the_keyword() -> None:
    for texts in (CONFUSABLES, SENTENCES, STREAM_SENTENCES):
        words = " ".join(texts["en"] + texts["tr"]).lower()
        assert "\n" not in words
        assert "hey uyan" not in words
        assert "hey ooyahn" not in words


def test_running_text_is_cut_into_sentences() -> None:
    assert CONFUSABLES["tr"][:5] == ["Hey.", "Uyan.", "Uyan!", "Hey Osman.", "Hey Can."]
    assert "Could you close the window, please?" in SENTENCES["en"]
