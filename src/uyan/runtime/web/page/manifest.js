// Recorded takes as the files of a data set: WAVs and the manifest.csv that `uyan run` takes.

import { SAMPLE_RATE } from "./frames.js";
import { wavFile } from "./wav.js";

const COLUMNS = ["path", "label", "speaker_id", "duration_s", "kind"];

/** Takes {label, speaker, kind, samples} → [{name, data}, …], manifest.csv first. */
export function dataSet(takes) {
  const rows = [COLUMNS];
  const files = takes.map(({ label, speaker, kind, samples }, n) => {
    const name = `${fileName(label)}/${fileName(speaker)}-${String(n + 1).padStart(3, "0")}.wav`;
    rows.push([name, label, speaker, (samples.length / SAMPLE_RATE).toFixed(3), kind]);
    return { name, data: wavFile(samples) };
  });
  const text = rows.map((row) => row.map(csvField).join(",") + "\n").join("");
  return [{ name: "manifest.csv", data: new TextEncoder().encode(text) }, ...files];
}

/** Letters and digits of any script; everything else could mean something to a file system. */
export function fileName(text) {
  const safe = text.normalize("NFC").replace(/[^\p{L}\p{M}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return safe.slice(0, 60) || "recording";
}

function csvField(text) {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
