import { AudioPlayer } from "./audio-player.js";
import { agreement, contourChart, movePlayhead } from "./contour-chart.js";
import { StretchSound, TooLong } from "./stretch-sound.js";
import { TunePlayer } from "./tune-player.js";
import { clock } from "./waveform.js";

const SELDOM_MS = 250; // for who wants less motion
const TOO_LONG = "This is too long to be fetched whole and played together; play the two one after the other.";
const NOT_FETCHED = "The sound could not be fetched or played; try again in a moment.";

// Two renderings of a tune: their contours on each other, and buttons that play them in turn and at
// once. data-asked-src, data-song-src (addresses), data-asked-stretch-src, data-song-stretch-src (what
// gives a stretch of them, if anything does), data-asked-label, data-song-label, data-song-name,
// data-start-ms, data-end-ms (in the song), data-query-start-ms, data-query-end-ms (in what was asked
// with), data-key-difference (semitones that what was asked with is above); the contours are JSON in a
// script of its own, if there are any.
export class TuneComparison extends HTMLElement {
  connectedCallback() {
    if (!this.player) this.build();
    this.onKey = (event) => {
      if (event.key === "Escape") this.player.stop();
    };
    this.onSounding = ({ detail }) => {
      if (detail !== this) this.player.stop();
    };
    document.addEventListener("keydown", this.onKey);
    document.addEventListener("sounding", this.onSounding);
  }

  build() {
    const told = this.dataset;
    const sound = (whole, stretch, begin, end) =>
      new StretchSound({ whole, stretch, from_ms: Number(begin), to_ms: Number(end) });
    this.player = new TunePlayer({
      asked: sound(told.askedSrc, told.askedStretchSrc, told.queryStartMs, told.queryEndMs),
      song: sound(told.songSrc, told.songStretchSrc, told.startMs, told.endMs),
      semitones: Number(told.keyDifference) || 0,
      told: () => this.show(),
    });
    this.buildChart();
    this.buttons = new Map();
    const row = document.createElement("div");
    row.className = "turns";
    row.setAttribute("role", "group");
    row.setAttribute("aria-label", "Play the tune");
    for (const [mode, label] of [["asked", told.askedLabel], ["song", told.songLabel], ["together", "Together"]]) {
      row.append(this.modeButton(mode, label));
    }
    this.status = document.createElement("p");
    this.status.className = "hint";
    this.status.setAttribute("role", "status");
    this.append(row, this.status);
    this.show();
  }

  modeButton(mode, label) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = label;
    made.addEventListener("click", () => this.toggle(mode));
    this.buttons.set(mode, made);
    return made;
  }

  buildChart() {
    const kept = this.querySelector("script[type='application/json']");
    this.contours = kept && JSON.parse(kept.textContent);
    if (!this.contours?.song?.length) return;
    this.figure = document.createElement("figure");
    this.drawing = document.createElement("div");
    const legend = document.createElement("figcaption");
    for (const [line, label] of [["song", this.dataset.songName], ["asked", this.dataset.askedLabel]]) {
      const entry = document.createElement("span");
      entry.className = `legend ${line}`;
      entry.textContent = line === "asked" ? `${label}, brought to its key and tempo` : label;
      legend.append(entry);
    }
    const share = agreement(this.contours);
    if (share !== null) {
      const told = document.createElement("span");
      told.textContent = `Within a semitone of each other for ${Math.round(100 * share)}\u00a0% of the time in which both sound`;
      legend.append(told);
    }
    this.figure.append(this.drawing, legend);
    this.append(this.figure);
    new ResizeObserver(() => this.draw()).observe(this.drawing);
  }

  draw() {
    const width = Math.floor(this.drawing.clientWidth);
    if (!width || width === this.drawnWidth) return;
    this.drawnWidth = width;
    const { startMs, endMs, songName, askedLabel } = this.dataset;
    const stretch = `${clock(startMs / 1000)} to ${clock(endMs / 1000)}`;
    const share = agreement(this.contours);
    const agrees = share === null ? "" : `; within a semitone of each other for ${Math.round(100 * share)}\u00a0% of the time in which both sound`;
    const label = `The melodies of ${songName}, from ${stretch}, and of “${askedLabel}” drawn on each other${agrees}`;
    this.svg = contourChart(this.contours, { width, label });
    this.drawing.replaceChildren(this.svg);
  }

  async toggle(mode) {
    if (this.player.mode === mode) {
      this.player.stop();
      return;
    }
    AudioPlayer.sounding?.audio.pause();
    document.dispatchEvent(new CustomEvent("sounding", { detail: this }));
    this.status.textContent = "";
    try {
      await this.player.play(mode);
    } catch (error) {
      this.status.textContent = error instanceof TooLong ? TOO_LONG : NOT_FETCHED;
    }
  }

  show() {
    for (const [mode, made] of this.buttons ?? []) {
      const isOn = this.player.mode === mode;
      made.setAttribute("aria-pressed", String(isOn));
      made.toggleAttribute("aria-busy", isOn && this.player.isPreparing);
    }
    this.classList.toggle("sounding", this.player.mode !== null);
    if (this.player.mode !== null && !this.following) this.follow();
  }

  // Moves the playhead for as long as something sounds.
  follow() {
    this.following = true;
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = () => {
      const { progress, mode } = this.player;
      const [start, end] = [Number(this.dataset.startMs), Number(this.dataset.endMs)];
      if (this.svg) movePlayhead(this.svg, progress === null ? null : start + progress * (end - start));
      this.following = mode !== null;
      if (!this.following) return;
      if (isCalm) setTimeout(step, SELDOM_MS);
      else requestAnimationFrame(step);
    };
    step();
  }

  disconnectedCallback() {
    this.player.stop();
    document.removeEventListener("keydown", this.onKey);
    document.removeEventListener("sounding", this.onSounding);
  }
}
