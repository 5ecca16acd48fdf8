import { penOf } from "./canvas.js";
import { voicedRuns } from "./hum-hints.js";

const NARROWEST = 14; // semitones from the bottom to the top, at least
const LEFT = 32; // for the names of notes
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

// "A4" for 69.
export function noteName(key) {
  const whole = Math.round(key);
  return `${NAMES[((whole % 12) + 12) % 12]}${Math.floor(whole / 12) - 1}`;
}

// The keys between which all of these lie, with room around.
export function keyRange(keys, narrowest = NARROWEST) {
  if (!keys.length) return { lowest: 57 - narrowest / 2, highest: 57 + narrowest / 2 };
  const lowest = Math.min(...keys) - 2;
  const highest = Math.max(...keys) + 2;
  const missing = Math.max(0, narrowest - (highest - lowest)) / 2;
  return { lowest: lowest - missing, highest: highest + missing };
}

// Draws the pitch of [{at, key}] on a canvas that is `seconds` wide, and marks when it is enough; the
// lines across are an octave apart.
export function drawPitchLine(canvas, frames, { seconds, enough }) {
  const shown = penOf(canvas);
  if (!shown) return;
  const { pen, width, height, style } = shown;
  const runs = voicedRuns(frames);
  const { lowest, highest } = keyRange(runs.flat().map(({ key }) => key));
  const x = (at) => LEFT + (at / seconds) * (width - LEFT);
  const y = (key) => height - ((key - lowest) / (highest - lowest)) * height;
  pen.lineWidth = 1;
  pen.font = "12px system-ui, sans-serif";
  pen.strokeStyle = style.getPropertyValue("--line");
  pen.fillStyle = style.getPropertyValue("--soft");
  drawOctaves(pen, { lowest, highest, width, y });
  drawEnough(pen, { at: enough, x: x(enough), height });
  pen.strokeStyle = pen.fillStyle = style.getPropertyValue("--hum");
  pen.lineWidth = 3;
  pen.lineCap = pen.lineJoin = "round";
  for (const run of runs) {
    pen.beginPath();
    for (const { at, key } of run) pen.lineTo(x(at), y(key));
    pen.stroke();
  }
  const last = frames.at(-1);
  const newest = runs.at(-1)?.at(-1);
  if (!newest || newest !== last) return;
  pen.beginPath();
  pen.arc(x(newest.at), y(newest.key), 6, 0, 2 * Math.PI);
  pen.fill();
}

function drawOctaves(pen, { lowest, highest, width, y }) {
  for (let key = 12 * Math.ceil(lowest / 12); key <= highest; key += 12) {
    drawLine(pen, [LEFT, y(key)], [width, y(key)]);
    pen.fillText(noteName(key), 4, Math.max(12, y(key) + 4));
  }
}

function drawEnough(pen, { at, x, height }) {
  pen.setLineDash([3, 4]);
  drawLine(pen, [x, 0], [x, height]);
  pen.setLineDash([]);
  pen.fillText(`${at} s`, x + 4, height - 6);
}

function drawLine(pen, from, to) {
  pen.beginPath();
  pen.moveTo(...from);
  pen.lineTo(...to);
  pen.stroke();
}
