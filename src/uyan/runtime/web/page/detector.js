// Samples in, detections out: the scores of a stream and the rule over them; detector.py for one word.

import { Decision } from "./decision.js";
import { Scorer } from "./scorer.js";

export class Detector {
  /** `threshold` may be changed while it listens. */
  constructor(scorer, info) {
    this.scorer = scorer;
    this.decision = new Decision(info.threshold, info.detector);
    this.label = info.label;
  }

  set threshold(value) {
    this.decision.threshold = value;
  }

  /** Start a new stream at time 0. */
  reset() {
    this.scorer.reset();
    this.decision.reset();
  }

  /** Take the next samples; {time_s, score, fired, peak} of every hop they complete. */
  async push(samples) {
    const hops = await this.scorer.push(samples);
    return hops.map(({ time_s, score }) => {
      const fired = this.decision.push(score);
      return { time_s, score, fired, peak: this.decision.peak };
    });
  }
}

/** The detector of the bundle that lies beside this page. */
export async function loadDetector() {
  const ort = await import("./vendor/ort.wasm.bundle.min.mjs");
  ort.env.logLevel = "error"; // it warns of every processor, since a browser names none
  ort.env.wasm.numThreads = 1; // a hop takes a millisecond; threads need headers that static hosts rarely send
  ort.env.wasm.wasmPaths = { wasm: new URL("vendor/ort-wasm-simd-threaded.wasm", document.baseURI).href };
  const info = await (await fetch("bundle.json")).json();
  const session = (file) => ort.InferenceSession.create(file, { executionProviders: ["wasm"] });
  const [frontend, network] = [await session("frontend.onnx"), await session("model.onnx")];
  return { info, detector: new Detector(new Scorer(ort, frontend, network, info), info) };
}
