// Samples as a WAV file: mono, 16 kHz, 16 bit.

import { SAMPLE_RATE } from "./frames.js";

const HEADER_BYTES = 44;

/** Float32Array within [−1, 1] → Uint8Array of the whole file; louder samples are clipped. */
export function wavFile(samples) {
  const file = new DataView(new ArrayBuffer(HEADER_BYTES + 2 * samples.length));
  const text = (at, letters) => [...letters].forEach((letter, n) => file.setUint8(at + n, letter.charCodeAt(0)));
  text(0, "RIFF");
  file.setUint32(4, file.byteLength - 8, true);
  text(8, "WAVEfmt ");
  file.setUint32(16, 16, true);
  file.setUint16(20, 1, true); // PCM
  file.setUint16(22, 1, true); // channels
  file.setUint32(24, SAMPLE_RATE, true);
  file.setUint32(28, 2 * SAMPLE_RATE, true);
  file.setUint16(32, 2, true);
  file.setUint16(34, 16, true);
  text(36, "data");
  file.setUint32(40, 2 * samples.length, true);
  samples.forEach((sample, n) => {
    file.setInt16(HEADER_BYTES + 2 * n, Math.max(-32768, Math.min(32767, Math.round(sample * 32768))), true);
  });
  return new Uint8Array(file.buffer);
}
