// The microphone as blocks of mono samples at 16 kHz, untouched by echo cancelling, noise removal and gain control.

import { SAMPLE_RATE } from "./frames.js";

const UNTOUCHED = { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false };
const MEANING = {
  NotAllowedError: "The microphone was not allowed. Allow it in the browser's address bar and start again.",
  NotFoundError: "There is no microphone. Plug one in and start again.",
  NotReadableError: "The microphone is used by another program. Close that and start again.",
  NotSupportedError: "This browser cannot bring its microphone to 16 kHz. Use a current Chrome, Edge or Safari.",
};

/** Opens it: `onBlock(Float32Array)` for every tenth of a second, `onEnd()` when it is unplugged. */
export async function openMicrophone(onBlock, onEnd) {
  if (!navigator.mediaDevices) {
    throw new Error("Browsers give the microphone only to pages from https:// or from this very computer.");
  }
  const context = new AudioContext({ sampleRate: SAMPLE_RATE });
  let stream;
  const close = () => {
    stream?.getTracks().forEach((track) => track.stop());
    return context.close();
  };
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: UNTOUCHED });
    await context.audioWorklet.addModule("worklet.js");
    const blocks = new AudioWorkletNode(context, "blocks", { channelCount: 1, channelCountMode: "explicit" });
    blocks.port.onmessage = ({ data }) => onBlock(data);
    context.createMediaStreamSource(stream).connect(blocks).connect(context.destination); // silent: it writes nothing
    stream.getAudioTracks()[0].addEventListener("ended", onEnd);
    await context.resume();
  } catch (reason) {
    await close();
    throw new Error(MEANING[reason.name] ?? `The microphone cannot be used (${reason.message}).`);
  }
  return { close };
}
