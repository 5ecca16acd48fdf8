import { keyRange, noteName } from "./pitch-line.js";
import { clock } from "./waveform.js";

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 200;
const LEFT = 40; // for the names of notes
const BOTTOM = 22; // for times
const NARROWEST = 10; // semitones
const MOST_NAMES = 6;

// Two lines of MIDI numbers on each other: contours is {step_ms, begin_ms, song, asked}, null where
// there is a rest. `width` in pixels. Gives an SVG element with a playhead to move by `movePlayhead`.
export function contourChart(contours, { width, label }) {
  const { step_ms, begin_ms, song, asked } = contours;
  const count = Math.max(song.length, asked.length);
  const { lowest, highest } = keyRange([...song, ...asked].filter((key) => key !== null), NARROWEST);
  const chart = {
    x: (at_ms) => LEFT + ((at_ms - begin_ms) / (count * step_ms)) * (width - LEFT - 6),
    y: (key) => 6 + ((highest - key) / (highest - lowest)) * (HEIGHT - BOTTOM - 12),
    end_ms: begin_ms + count * step_ms,
    width,
  };
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label, class: "contours" });
  svg.append(...noteLines(chart, lowest, highest), ...times(chart, begin_ms));
  for (const [line, keys] of [["song", song], ["asked", asked]]) {
    svg.append(element("path", { class: `line ${line}`, d: pathOf(keys, contours, chart) }));
  }
  svg.append(element("line", { class: "playhead", y1: 0, y2: HEIGHT - BOTTOM, visibility: "hidden" }));
  svg.chart = chart;
  return svg;
}

// at_ms: of the song; null takes the playhead away.
export function movePlayhead(svg, at_ms) {
  const head = svg.querySelector(".playhead");
  const isWithin = at_ms !== null && at_ms <= svg.chart.end_ms;
  head.setAttribute("visibility", isWithin ? "visible" : "hidden");
  if (!isWithin) return;
  const x = Math.max(LEFT, svg.chart.x(at_ms)).toFixed(1);
  head.setAttribute("x1", x);
  head.setAttribute("x2", x);
}

// The share of what both sound in that is within a semitone, from 0 to 1; null where they never do.
export function agreement({ song, asked }) {
  const both = song.map((key, at) => [key, asked[at] ?? null]).filter((pair) => !pair.includes(null));
  return both.length ? both.filter(([one, other]) => Math.abs(one - other) <= 1).length / both.length : null;
}

function pathOf(keys, { step_ms, begin_ms }, { x, y }) {
  let path = "";
  keys.forEach((key, at) => {
    if (key === null) return;
    const isFirst = (keys[at - 1] ?? null) === null;
    const place = `${x(begin_ms + (at + 0.5) * step_ms).toFixed(1)} ${y(key).toFixed(1)}`;
    // A line of no length shows a note that is alone as a dot.
    path += isFirst ? `M${place}h0.01` : `L${place}`;
  });
  return path;
}

function noteLines({ y, width }, lowest, highest) {
  const every = [1, 2, 3, 4, 6, 12].find((step) => (highest - lowest) / step <= MOST_NAMES) ?? 24;
  const found = [];
  for (let key = Math.ceil(lowest); key <= highest; key += 1) {
    if (key % every) continue;
    found.push(element("line", { class: "grid", x1: LEFT, x2: width, y1: y(key), y2: y(key) }));
    found.push(text(noteName(key), { x: LEFT - 6, y: y(key) + 4, "text-anchor": "end" }));
  }
  return found;
}

function times({ x, end_ms, width }, begin_ms) {
  const roomFor = Math.max(1, Math.floor(width / 70));
  const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300].map((seconds) => 1000 * seconds);
  const every = steps.find((step) => (end_ms - begin_ms) / step <= roomFor) ?? steps.at(-1);
  const found = [];
  for (let at = Math.ceil(begin_ms / every) * every; at < end_ms; at += every) {
    found.push(text(clock(at / 1000), { x: x(at), y: HEIGHT - 4, "text-anchor": "middle" }));
  }
  return found;
}

function text(content, attributes) {
  const made = element("text", attributes);
  made.textContent = content;
  return made;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
