// Samples in, detections out, for one word or several in one pass; detector.py in the browser.

import { Decision } from "./decision.js";
import { Frontend } from "./frontend.js";
import { SAMPLE_RATE } from "./frames.js";
import { Scorer } from "./scorer.js";

const MOST_SAMPLES = 30 * SAMPLE_RATE;

export class Detector {
  /** `words`: {label, frontend, scorer, decision}; words of one front end share the object. */
  constructor(words) {
    this.words = words;
    this.frontends = [...new Set(words.map(({ frontend }) => frontend))];
  }

  /** Move the threshold of a word, also while it listens. */
  setThreshold(word, value) {
    this.words[word].decision.threshold = value;
  }

  /** Start a new stream at time 0. */
  reset() {
    for (const part of this.frontends) part.reset();
    for (const { scorer, decision } of this.words) {
      scorer.reset();
      decision.reset();
    }
  }

  /** Take the next samples (Float32Array, mono, 16 kHz); {word, time_s, score, fired, peak} of every hop they complete. */
  async push(samples) {
    const hops = [];
    for (let at = 0; at < samples.length; at += MOST_SAMPLES) {
      for (const frontend of this.frontends) {
        hops.push(...(await this.hopsOf(frontend, samples.subarray(at, at + MOST_SAMPLES))));
      }
    }
    return hops.sort((a, b) => a.time_s - b.time_s);
  }

  async hopsOf(frontend, samples) {
    const sharing = this.words.map((word, number) => ({ ...word, number })).filter((word) => word.frontend === frontend);
    const features = await frontend.push(samples, Math.min(...sharing.map(({ scorer }) => scorer.missing)));
    if (!features.frames) return [];
    const hops = [];
    for (const { number, scorer, decision } of sharing) {
      for (const hop of await scorer.push(features)) {
        const fired = decision.push(hop.score);
        hops.push({ word: number, ...hop, fired, peak: decision.peak });
      }
    }
    return hops;
  }
}

/** The detector of the bundles that lie beside this page, and what words.json says of each. */
export async function loadDetector() {
  const ort = await import("./vendor/ort.wasm.bundle.min.mjs");
  ort.env.logLevel = "error"; // it warns of every processor, since a browser names none
  ort.env.wasm.numThreads = 1; // a hop takes a millisecond; threads need headers that static hosts rarely send
  ort.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", document.baseURI).href };
  const session = (file) => ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const { tta, words } = await (await fetch("words.json")).json();
  const frontends = new Map();
  const loaded = [];
  for (const { info, threshold, frontend, network } of words) {
    if (!frontends.has(frontend)) {
      frontends.set(frontend, new Frontend(ort, await session(frontend), info.frontend.mels));
    }
    const scorer = new Scorer(ort, await session(network), info, tta);
    const decision = new Decision(threshold, info.detector);
    loaded.push({ label: info.label, frontend: frontends.get(frontend), scorer, decision });
  }
  return { words: words.map(({ info, threshold }) => ({ label: info.label, threshold })), detector: new Detector(loaded) };
}
