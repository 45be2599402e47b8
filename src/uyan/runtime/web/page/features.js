// Features as they travel between the networks: {mels, frames, data}, data of shape (mels, frames), row by row.

/** No frames yet. */
export function noFeatures(mels) {
  return { mels, frames: 0, data: new Float32Array(0) };
}

/** Two stretches, one after the other. */
export function joinedFeatures(first, second) {
  if (!first.frames) return second;
  const { mels } = first;
  const frames = first.frames + second.frames;
  const data = new Float32Array(mels * frames);
  for (let row = 0; row < mels; row++) {
    data.set(rowOf(first, row), row * frames);
    data.set(rowOf(second, row), row * frames + first.frames);
  }
  return { mels, frames, data };
}

/** The frames [from, to), a copy. */
export function framesOf(features, from, to) {
  const { mels } = features;
  const frames = to - from;
  const data = new Float32Array(mels * frames);
  for (let row = 0; row < mels; row++) data.set(rowOf(features, row).subarray(from, to), row * frames);
  return { mels, frames, data };
}

function rowOf({ frames, data }, row) {
  return data.subarray(row * frames, (row + 1) * frames);
}
