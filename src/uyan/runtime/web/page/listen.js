// The listening half of the page: button, score trace, threshold and the list of detections.

import { loadDetector } from "./detector.js";
import { openMicrophone } from "./microphone.js";
import { Trace } from "./trace.js";

const MOST_SHOWN = 200;
const element = (id) => document.getElementById(id);

/** Loads the detector and wakes up the controls; answers with what bundle.json says. */
export async function startListening() {
  const trace = new Trace(element("trace"));
  let loaded;
  try {
    loaded = await loadDetector();
  } catch (reason) {
    say(`The detector cannot be loaded (${reason.message}).`, true);
    throw reason;
  }
  const { info, detector } = loaded;
  connectThreshold(info.threshold, (value) => {
    detector.threshold = trace.threshold = value;
    trace.draw();
  });
  connectButton(detector, trace);
  say("Ready.");
  return info;
}

function connectThreshold(operatingPoint, onChange) {
  const slider = element("threshold");
  const show = () => {
    element("threshold-value").value = String(Number(Number(slider.value).toFixed(6)));
    onChange(Number(slider.value));
  };
  const reset = () => {
    slider.step = "any"; // the operating point may lie between two steps
    slider.value = operatingPoint;
    show();
  };
  slider.addEventListener("input", show);
  slider.addEventListener("pointerdown", () => (slider.step = "0.0025"));
  slider.addEventListener("keydown", () => (slider.step = "0.0025"));
  element("threshold-reset").addEventListener("click", reset);
  slider.disabled = element("threshold-reset").disabled = false;
  reset();
}

function connectButton(detector, trace) {
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
      .then(async () => microphone && show(await detector.push(block), detector.label, trace))
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

function show(hops, label, trace) {
  trace.add(hops);
  for (const { time_s, peak } of hops.filter(({ fired }) => fired)) {
    const item = document.createElement("li");
    item.dataset.timeS = time_s;
    item.textContent = `${new Date().toLocaleTimeString()}, ${time_s.toFixed(1)} s: ${label}, score ${peak.toFixed(3)}`;
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
