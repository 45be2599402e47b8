// How samples become frames: the constants of frontend.onnx, in samples and frames.

export const SAMPLE_RATE = 16_000;
export const FRAME_SAMPLES = 400;
export const HOP_SAMPLES = 160;
export const HOP_S = HOP_SAMPLES / SAMPLE_RATE;

/** Whole frames in that many samples. */
export function frameCount(samples) {
  return samples < FRAME_SAMPLES ? 0 : 1 + Math.floor((samples - FRAME_SAMPLES) / HOP_SAMPLES);
}

/** The sample just after frame number `frame` (0-based). */
export function sampleEnd(frame) {
  return frame * HOP_SAMPLES + FRAME_SAMPLES;
}

/** Pieces of samples in one array. */
export function joined(pieces) {
  const whole = new Float32Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
