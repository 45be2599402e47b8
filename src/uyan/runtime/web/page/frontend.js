// Samples in, log-mel frames out: frontend.onnx on a stream; several words may share one.

import { noFeatures } from "./features.js";
import { FRAME_SAMPLES, HOP_SAMPLES, frameCount, joined } from "./frames.js";

export class Frontend {
  /** `session` runs frontend.onnx in `ort`, which is onnxruntime-web. */
  constructor(ort, session, mels) {
    Object.assign(this, { ort, session, mels });
    this.reset();
  }

  /** Start a new stream at time 0. */
  reset() {
    this.waiting = new Float32Array(0);
  }

  /** Take the next samples (Float32Array, mono, 16 kHz); the frames they complete, once there are `atLeast`. */
  async push(samples, atLeast) {
    this.waiting = joined([this.waiting, samples]);
    const frames = frameCount(this.waiting.length);
    if (frames < Math.max(1, atLeast)) return noFeatures(this.mels);
    const pcm = this.waiting.slice(0, (frames - 1) * HOP_SAMPLES + FRAME_SAMPLES);
    this.waiting = this.waiting.slice(frames * HOP_SAMPLES);
    const { features } = await this.session.run({ samples: new this.ort.Tensor("float32", pcm, [1, pcm.length]) });
    return { mels: this.mels, frames, data: features.data };
  }
}
