// The listening half of the page: button, score trace, thresholds and the list of detections.

import { loadDetector } from "./detector.js";
import { openMicrophone } from "./microphone.js";
import { showThresholds } from "./thresholds.js";
import { Trace } from "./trace.js";

const MOST_SHOWN = 200;
const element = (id) => document.getElementById(id);

/** Loads the detector and wakes up the controls; answers with its words, {label, threshold}. */
export async function startListening() {
  const trace = new Trace(element("trace"));
  let loaded;
  try {
    loaded = await loadDetector();
  } catch (reason) {
    say(`The detector cannot be loaded (${reason.message}).`, true);
    throw reason;
  }
  const { words, detector } = loaded;
  showThresholds(element("thresholds"), words, (word, value) => {
    detector.setThreshold(word, value);
    trace.setThreshold(word, value);
  });
  const labels = words.map(({ label }) => label);
  connectButton(detector, labels, trace);
  say("Ready.");
  return labels;
}

function connectButton(detector, labels, trace) {
  const button = element("listen");
  let microphone = null;
  let pushed = Promise.resolve();
  const stop = async (message) => {
    const open = microphone;
    microphone = null;
    button.textContent = "Start listening";
    button.setAttribute("aria-pressed", "false");
    await open?.close();
    say(message);
  };
  const take = (block) => {
    // One after the other: a hop's memory is the next one's input.
    pushed = pushed
      .then(async () => microphone && show(await detector.push(block), labels, trace))
      .catch((reason) => say(`The detector stopped (${reason.message}).`, true));
  };
  button.addEventListener("click", async () => {
    if (microphone) return stop("Stopped.");
    button.disabled = true;
    try {
      await pushed;
      detector.reset();
      trace.clear();
      microphone = await openMicrophone(take, () => stop("The microphone is gone."));
      button.textContent = "Stop listening";
      button.setAttribute("aria-pressed", "true");
      say("Listening.");
    } catch (reason) {
      say(reason.message, true);
    } finally {
      button.disabled = false;
    }
  });
  button.disabled = false;
}

function show(hops, labels, trace) {
  trace.add(hops);
  for (const { word, time_s, peak } of hops.filter(({ fired }) => fired)) {
    const item = document.createElement("li");
    item.dataset.timeS = time_s;
    item.dataset.word = labels[word];
    item.textContent = `${new Date().toLocaleTimeString()}, ${time_s.toFixed(1)} s: ${labels[word]}, score ${peak.toFixed(3)}`;
    const list = element("detections");
    list.prepend(item);
    if (list.children.length > MOST_SHOWN) list.lastElementChild.remove();
    element("none-yet").hidden = true;
  }
}

function say(message, wrong = false) {
  element("listen-status").textContent = message;
  element("listen-status").classList.toggle("error", wrong);
}
