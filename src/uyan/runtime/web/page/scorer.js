// Scores of a stream of features, one a hop, by a network with a memory; hop_scorer.py in the browser.

import { roundedToEven } from "./decision.js";
import { framesOf, joinedFeatures, noFeatures } from "./features.js";
import { HOP_S, SAMPLE_RATE, sampleEnd } from "./frames.js";

const STRIDE_FRAMES = 2;
const TTA_REACH = 2;

export class Scorer {
  /** `network` is a session of `ort`; `info` its entry in words.json; `tta` averages neighbouring scores. */
  constructor(ort, network, info, tta) {
    Object.assign(this, { ort, network, info });
    this.hopFrames = roundedToEven(info.detector.hop_s / HOP_S);
    this.reach = tta ? TTA_REACH : 0;
    this.firstFrames = info.window_frames + STRIDE_FRAMES * this.reach;
    this.reset();
  }

  /** Start a new stream at time 0. */
  reset() {
    this.pending = noFeatures(this.info.frontend.mels);
    this.memory = this.emptyMemory();
    this.needed = this.firstFrames;
    this.recent = null;
    this.hops = 0;
  }

  /** Frames until the next score. */
  get missing() {
    return this.needed - this.pending.frames;
  }

  /** Take the next features; {time_s, score} of every hop they complete. */
  async push(features) {
    const frames = joinedFeatures(this.pending, features);
    this.pending = frames;
    if (frames.frames < this.needed) return [];
    const more = Math.floor((frames.frames - this.needed) / this.hopFrames) * this.hopFrames;
    const used = this.needed + more;
    const scores = await this.positions(framesOf(frames, 0, used));
    this.pending = framesOf(frames, used, frames.frames);
    this.needed = this.hopFrames;
    const stride = this.hopFrames / STRIDE_FRAMES;
    const found = this.reach ? this.averaged(scores, stride) : everyLast(scores, stride);
    return found.map((score) => ({ time_s: this.timeS(this.hops++), score }));
  }

  /** When the score of that hop is there, in seconds from the start of the stream. */
  timeS(hop) {
    return sampleEnd(hop * this.hopFrames + this.firstFrames - 1) / SAMPLE_RATE;
  }

  /** Scores at every position of the network, 20 ms apart, that these features complete. */
  async positions({ mels, frames, data }) {
    const features = new this.ort.Tensor("float32", data, [1, mels, frames]);
    const { logits, ...next } = await this.network.run({ features, ...this.memory });
    this.memory = Object.fromEntries(Object.entries(next).map(([name, kept]) => [name.replace("next", "memory"), kept]));
    return keywordScores(logits, this.info.temperature);
  }

  /** Means around each hop's position, the last of which ends the scores; before the first there is nothing. */
  averaged(scores, stride) {
    const width = 2 * this.reach + 1;
    const nothing = new Array(this.reach).fill(null);
    const known = [...(this.recent ?? nothing), ...scores];
    this.recent = known.slice(known.length - Math.max(0, width - stride));
    const means = [];
    for (let at = (known.length - width) % stride; at + width <= known.length; at += stride) {
      const there = known.slice(at, at + width).filter((score) => score !== null);
      means.push(there.reduce((sum, score) => sum + score, 0) / there.length);
    }
    return means;
  }

  /** Memories of no frames, which begin a stream. */
  emptyMemory() {
    const layers = this.network.inputMetadata.filter(({ name }) => name.startsWith("memory_"));
    const empty = ({ shape }) => new this.ort.Tensor("float32", new Float32Array(0), [1, shape[1], 1, 0]);
    return Object.fromEntries(layers.map((layer) => [layer.name, empty(layer)]));
  }
}

/** The last of every `stride` scores. */
function everyLast(scores, stride) {
  return scores.filter((_, at) => (scores.length - 1 - at) % stride === 0);
}

/** softmax(logits / T) of the keyword at every position; logits of shape (1, 2, positions). */
function keywordScores(logits, temperature) {
  const [, , positions] = logits.dims;
  const score = (at) => 1 / (1 + Math.exp((logits.data[at] - logits.data[positions + at]) / temperature));
  return Array.from({ length: positions }, (_, at) => score(at));
}
