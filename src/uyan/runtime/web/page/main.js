// Puts the page together.

import { startListening } from "./listen.js";
import { startRecorder } from "./record.js";

const info = await startListening().catch(() => null);
if (info) {
  document.title = `${info.label} · uyan`;
  document.getElementById("word").textContent = info.label;
}
startRecorder(info?.label ?? "");
