// On the audio thread: hands the microphone's samples over, 1,600 at a time: a tenth of a second at 16 kHz.

const BLOCK_SAMPLES = 1600;

class Blocks extends AudioWorkletProcessor {
  constructor() {
    super();
    this.block = new Float32Array(BLOCK_SAMPLES);
    this.filled = 0;
  }

  process([[channel]]) {
    for (let at = 0; channel && at < channel.length; ) {
      const taken = Math.min(channel.length - at, BLOCK_SAMPLES - this.filled);
      this.block.set(channel.subarray(at, at + taken), this.filled);
      at += taken;
      this.filled += taken;
      if (this.filled === BLOCK_SAMPLES) {
        this.port.postMessage(this.block.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("blocks", Blocks);
