// When scores become a detection: voting, hysteresis and lockout; the rule of decision.py, one score at a time.

export class Decision {
  /** `config`: votes, ballots, hysteresis, lockout_s and hop_s, as in the bundle. */
  constructor(threshold, config) {
    this.threshold = threshold;
    this.config = config;
    this.lockoutHops = Math.max(1, roundedToEven(config.lockout_s / config.hop_s));
    this.reset();
  }

  /** Forget the stream: armed, no votes, no lockout. */
  reset() {
    this.recent = [];
    this.armed = true;
    this.sinceFire = this.lockoutHops;
  }

  /** The off-threshold; half the threshold where threshold − hysteresis would be unreachable. */
  get rearmBelow() {
    const lowered = this.threshold - this.config.hysteresis;
    return lowered > 0 ? lowered : this.threshold / 2;
  }

  /** Take the next score; true when it completes a detection. */
  push(score) {
    if (!this.armed && score < this.rearmBelow) {
      this.recent = []; // the votes so far belong to the last detection
      this.armed = true;
    }
    this.recent.push(score);
    if (this.recent.length > this.config.ballots) this.recent.shift();
    this.sinceFire += 1;
    if (!this.armed || this.sinceFire < this.lockoutHops) return false;
    if (this.recent.filter((ballot) => ballot >= this.threshold).length < this.config.votes) return false;
    this.armed = false;
    this.sinceFire = 0;
    return true;
  }

  /** The highest score among the ballots. */
  get peak() {
    return Math.max(0, ...this.recent);
  }
}

/** To the nearest whole number, halves to the even one, as Python rounds. */
export function roundedToEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) return Math.round(value);
  return below % 2 ? below + 1 : below;
}
