// A slider for the threshold of each word, and a button that brings its operating point back.

/** Fills `place` with a row for each of `words` ({label, threshold}); `onChange(word, value)` hears of every move. */
export function showThresholds(place, words, onChange) {
  place.replaceChildren(...words.map(({ label, threshold }, word) => row(label, threshold, word, words.length, onChange)));
}

function row(word, operatingPoint, number, count, onChange) {
  const made = document.createElement("div");
  made.className = "row";
  const label = child(made, "label", { htmlFor: `threshold-${number}`, textContent: count > 1 ? `Threshold, ${word}` : "Threshold" });
  if (count > 1) label.dataset.word = number % 4;
  const slider = child(made, "input", { id: `threshold-${number}`, type: "range", min: 0, max: 1 });
  const shown = child(made, "output", { id: `threshold-value-${number}` });
  shown.htmlFor.add(slider.id);
  const reset = child(made, "button", { id: `threshold-reset-${number}`, type: "button", className: "plain", textContent: "Operating point" });
  const show = () => {
    shown.value = String(Number(Number(slider.value).toFixed(6)));
    onChange(number, Number(slider.value));
  };
  const bringBack = () => {
    slider.step = "any"; // the operating point may lie between two steps
    slider.value = operatingPoint;
    show();
  };
  slider.addEventListener("input", show);
  slider.addEventListener("pointerdown", () => (slider.step = "0.0025"));
  slider.addEventListener("keydown", () => (slider.step = "0.0025"));
  reset.addEventListener("click", bringBack);
  bringBack();
  return made;
}

function child(parent, tag, properties) {
  return parent.appendChild(Object.assign(document.createElement(tag), properties));
}
