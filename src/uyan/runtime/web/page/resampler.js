// A stream at another rate, low-pass filtered: for browsers that cannot bring their microphone to 16 kHz themselves.

import { joined } from "./frames.js";

const ZERO_CROSSINGS = 16;
const PASSED = 0.95;

export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz;
    this.cutoff = PASSED * Math.min(1, toHz / fromHz);
    this.reach = Math.ceil(ZERO_CROSSINGS / this.cutoff);
    this.kept = new Float32Array(this.reach); // silence before the stream
    this.at = this.reach;
  }

  /** The samples at the new rate that these complete; the last few wait for what follows them. */
  push(samples) {
    const input = joined([this.kept, samples]);
    const found = [];
    for (; this.at + this.reach < input.length; this.at += this.step) found.push(this.value(input));
    const done = Math.floor(this.at) - this.reach;
    this.kept = input.slice(done);
    this.at -= done;
    return Float32Array.from(found);
  }

  /** The input between its samples: a sinc under a Hann window. */
  value(input) {
    let sum = 0;
    for (let n = Math.ceil(this.at - this.reach); n <= this.at + this.reach; n += 1) {
      const away = n - this.at;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * away) / this.reach);
      sum += input[n] * window * this.cutoff * sinc(this.cutoff * away);
    }
    return sum;
  }
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}
