// The microphone as blocks of mono samples at 16 kHz, untouched by echo cancelling, noise removal and gain control.

import { SAMPLE_RATE } from "./frames.js";
import { Resampler } from "./resampler.js";

const UNTOUCHED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const MEANING = {
  NotAllowedError: "The microphone was not allowed. Allow it in the browser's address bar and start again.",
  NotFoundError: "There is no microphone. Plug one in and start again.",
  NotReadableError: "The microphone is used by another program. Close that and start again.",
};

/** Opens it: `onBlock(Float32Array)` for every tenth of a second or so, `onEnd()` when it is unplugged. */
export async function openMicrophone(onBlock, onEnd) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give the microphone only to pages from https:// or from this very computer.");
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: UNTOUCHED });
    const context = await capture(stream, onBlock);
    stream.getAudioTracks()[0].addEventListener("ended", onEnd);
    return { close: () => closed(stream, context) };
  } catch (reason) {
    await closed(stream);
    throw new Error(MEANING[reason.name] ?? `The microphone cannot be used (${reason.message}).`);
  }
}

/** At 16 kHz where the browser resamples, as Chromium does, else at its own rate. */
async function capture(stream, onBlock) {
  try {
    return await captureAt(SAMPLE_RATE, stream, onBlock);
  } catch (reason) {
    if (reason.name !== "NotSupportedError") throw reason;
    return captureAt(undefined, stream, onBlock);
  }
}

async function captureAt(sampleRate, stream, onBlock) {
  const context = new AudioContext({ sampleRate });
  try {
    const source = context.createMediaStreamSource(stream);
    await context.audioWorklet.addModule("worklet.js");
    const blocks = new AudioWorkletNode(context, "blocks", { channelCount: 1, channelCountMode: "explicit" });
    const resampler = context.sampleRate === SAMPLE_RATE ? null : new Resampler(context.sampleRate, SAMPLE_RATE);
    blocks.port.onmessage = ({ data }) => onBlock(resampler ? resampler.push(data) : data);
    source.connect(blocks).connect(context.destination); // silent: the worklet writes nothing
    await context.resume();
    return context;
  } catch (reason) {
    await context.close();
    throw reason;
  }
}

async function closed(stream, context) {
  stream?.getTracks().forEach((track) => track.stop());
  await context?.close();
}
