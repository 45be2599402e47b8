"""PocketSphinx with a key phrase, US English: it decides by itself, at one threshold a run.

As its documentation has it, the utterance is ended and begun anew after each detection.
"""

from collections.abc import Iterable

from bench.peers.protocol import Job, Listener, UnknownWordError, serve

SEARCH = "keyword"


def load(job: Job) -> Listener:
    """`job.model` is the phrase; UnknownWordError when its dictionary lacks one of the words."""
    from pocketsphinx import Decoder  # type: ignore[import-not-found]

    decoder = Decoder(lm=None, kws_threshold=job.threshold, loglevel="FATAL")
    unknown = [word for word in job.model.split() if decoder.lookup_word(word) is None]
    if unknown:
        raise UnknownWordError(f"not in the dictionary: {', '.join(unknown)}")
    decoder.add_keyphrase(SEARCH, job.model)
    decoder.activate_search(SEARCH)
    decoder.start_utt()

    def hear(chunk: bytes) -> Iterable[float]:
        decoder.process_raw(chunk, False, False)
        if decoder.hyp() is None:
            return []
        decoder.end_utt()
        decoder.start_utt()
        return [1.0]

    return hear


if __name__ == "__main__":
    serve("pocketsphinx", load)
