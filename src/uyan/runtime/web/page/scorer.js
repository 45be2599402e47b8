// Scores of a stream of samples, one a hop: frontend.onnx, then the network with its memory; hop_scorer.py in the browser.

import { roundedToEven } from "./decision.js";
import { FRAME_SAMPLES, HOP_S, HOP_SAMPLES, SAMPLE_RATE, frameCount, joined, sampleEnd } from "./frames.js";

const STRIDE_FRAMES = 2;
const MOST_FRAMES = 3000;

export class Scorer {
  /** `ort` is onnxruntime-web; `frontend` and `network` its sessions; `info` is bundle.json. */
  constructor(ort, frontend, network, info) {
    Object.assign(this, { ort, frontend, network, info });
    this.hopFrames = roundedToEven(info.detector.hop_s / HOP_S);
    this.reset();
  }

  /** Start a new stream at time 0. */
  reset() {
    this.waiting = new Float32Array(0);
    this.memory = this.emptyMemory();
    this.needed = this.info.window_frames;
    this.hops = 0;
  }

  /** Take the next samples (Float32Array, mono, 16 kHz); {time_s, score} of every hop they complete. */
  async push(samples) {
    this.waiting = joined([this.waiting, samples]);
    const found = [];
    for (let frames; (frames = frameCount(this.waiting.length)) >= this.needed; ) {
      const more = Math.floor((Math.min(frames, MOST_FRAMES) - this.needed) / this.hopFrames);
      const used = this.needed + Math.max(0, more) * this.hopFrames;
      for (const score of await this.scores(used)) {
        found.push({ time_s: this.timeS(this.hops), score });
        this.hops += 1;
      }
      this.waiting = this.waiting.slice(used * HOP_SAMPLES);
      this.needed = this.hopFrames;
    }
    return found;
  }

  /** When the score of that hop is there, in seconds from the start of the stream. */
  timeS(hop) {
    return sampleEnd(hop * this.hopFrames + this.info.window_frames - 1) / SAMPLE_RATE;
  }

  /** Scores of the hops that the first so many waiting frames complete. */
  async scores(frames) {
    const pcm = this.waiting.slice(0, (frames - 1) * HOP_SAMPLES + FRAME_SAMPLES);
    const { features } = await this.frontend.run({ samples: new this.ort.Tensor("float32", pcm, [1, pcm.length]) });
    const { logits, ...next } = await this.network.run({ features, ...this.memory });
    this.memory = Object.fromEntries(Object.entries(next).map(([name, kept]) => [name.replace("next", "memory"), kept]));
    return keywordScores(logits, this.info.temperature, this.hopFrames / STRIDE_FRAMES);
  }

  /** Memories of no frames, which begin a stream. */
  emptyMemory() {
    const layers = this.network.inputMetadata.filter(({ name }) => name.startsWith("memory_"));
    const empty = ({ shape }) => new this.ort.Tensor("float32", new Float32Array(0), [1, shape[1], 1, 0]);
    return Object.fromEntries(layers.map((layer) => [layer.name, empty(layer)]));
  }
}

/** softmax(logits / T) of the keyword at the last position of every hop; logits of shape (1, 2, positions). */
function keywordScores(logits, temperature, stride) {
  const [, , positions] = logits.dims;
  const scores = [];
  for (let at = (positions - 1) % stride; at < positions; at += stride) {
    const margin = (logits.data[positions + at] - logits.data[at]) / temperature;
    scores.push(1 / (1 + Math.exp(-margin)));
  }
  return scores;
}
