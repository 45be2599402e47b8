// The recording half of the page: countdown, takes with playback and delete, and all of them as one zip.

import { SAMPLE_RATE, joined } from "./frames.js";
import { dataSet, fileName } from "./manifest.js";
import { openMicrophone } from "./microphone.js";
import { wavFile } from "./wav.js";
import { zipFile } from "./zip.js";

const COUNTDOWN_S = 3;
const PAUSE_S = 1;
const element = (id) => document.getElementById(id);
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

const takes = [];
let stopped = true;

/** Wakes up the controls; the words are proposed. */
export function startRecorder(words) {
  element("label").value = words[0] ?? "";
  element("words").replaceChildren(...words.map((word) => new Option(word)));
  element("record").addEventListener("submit", (event) => {
    event.preventDefault();
    if (stopped) record(Object.fromEntries(new FormData(event.target)));
  });
  element("record-stop").addEventListener("click", () => (stopped = true));
  element("download").addEventListener("click", download);
  addEventListener("beforeunload", (event) => takes.length && event.preventDefault());
}

async function record({ label, speaker, kind, count, seconds }) {
  running(true);
  let take = null;
  let microphone = null;
  try {
    const lost = () => (stopped = true);
    microphone = await openMicrophone((block) => take?.(block), lost);
    for (let second = COUNTDOWN_S; second > 0 && !stopped; second -= 1) {
      say(String(second));
      await wait(1);
    }
    for (let number = 1; number <= count && !stopped; number += 1) {
      say(`${number} of ${count}: speak now`);
      const samples = await recorded(Number(seconds), (taker) => (take = taker));
      if (samples) add({ label: label.trim(), speaker: speaker.trim(), kind, samples });
      if (number < count && !stopped) {
        say("…");
        await wait(PAUSE_S);
      }
    }
    say(stopped ? "Stopped." : "Done.");
  } catch (reason) {
    say(reason.message);
  } finally {
    await microphone?.close();
    running(false);
  }
}

/** The next so many seconds, or nothing when it is stopped in between. */
async function recorded(seconds, listen) {
  const wanted = Math.round(seconds * SAMPLE_RATE);
  const blocks = [];
  let missing = wanted;
  listen((block) => {
    blocks.push(block);
    missing -= block.length;
  });
  while (missing > 0 && !stopped) await wait(0.02);
  listen(null);
  return missing > 0 ? null : joined(blocks).slice(0, wanted);
}

function add(take) {
  takes.push(take);
  const item = document.createElement("li");
  const row = item.appendChild(document.createElement("div"));
  const name = row.appendChild(document.createElement("span"));
  name.textContent = `${take.label} · ${take.speaker}${loudness(take.samples)}`;
  const player = row.appendChild(document.createElement("audio"));
  player.controls = true;
  player.src = URL.createObjectURL(new Blob([wavFile(take.samples)], { type: "audio/wav" }));
  const remove = row.appendChild(document.createElement("button"));
  Object.assign(remove, { type: "button", className: "plain", textContent: "Delete" });
  remove.setAttribute("aria-label", `Delete take of ${take.label} by ${take.speaker}`);
  remove.addEventListener("click", () => {
    takes.splice(takes.indexOf(take), 1);
    URL.revokeObjectURL(player.src);
    item.remove();
    element("download").disabled = takes.length === 0;
  });
  element("takes").append(item);
  element("download").disabled = false;
}

/** What a speaker should know before going on. */
function loudness(samples) {
  const peak = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  if (peak >= 0.999) return " (clipped: too loud)";
  return peak < 0.01 ? " (almost silent)" : "";
}

function download() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([zipFile(dataSet(takes))], { type: "application/zip" }));
  link.download = `${fileName(takes[0].label)}.zip`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function running(on) {
  stopped = !on;
  element("record-start").disabled = on;
  element("record-stop").disabled = !on;
}

function say(message) {
  element("countdown").textContent = message;
}
