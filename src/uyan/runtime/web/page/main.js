// Puts the page together.

import { startListening } from "./listen.js";
import { startRecorder } from "./record.js";

const labels = await startListening().catch(() => []);
if (labels.length) {
  document.title = `${labels.join(", ")} · uyan`;
  document.getElementById("word").textContent = labels.join(", ");
}
startRecorder(labels);
