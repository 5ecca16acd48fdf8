import { clock, drawWaveform, peaksOfFile } from "./waveform.js";

// A play button and a waveform to seek in; one player sounds at a time on a page.
// data-src, data-peaks (address of JSON, or empty), data-label, data-duration-ms,
// data-start-ms and data-end-ms (the moment that matched; playing begins there), data-volume (0 to 1),
// data-group (players of one recording: the next one goes on where the last one is).
export class AudioPlayer extends HTMLElement {
  static sounding = null;

  connectedCallback() {
    if (this.audio) return;
    this.audio = this.querySelector("audio");
    this.audio.controls = false;
    if (this.dataset.volume) this.audio.volume = Number(this.dataset.volume);
    this.peaks = [];
    this.from = this.dataset.startMs === undefined ? null : Number(this.dataset.startMs) / 1000;
    this.to = this.dataset.endMs === undefined ? null : Number(this.dataset.endMs) / 1000;
    this.fresh = true;
    this.build();
    this.listen();
    this.watch();
  }

  get seconds() {
    const told = Number(this.dataset.durationMs) / 1000;
    return Number.isFinite(this.audio.duration) ? this.audio.duration : told || 0;
  }

  build() {
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "playing-button";
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-label", `Position in ${this.dataset.label}`);
    this.canvas.setAttribute("aria-valuemin", "0");
    this.time = document.createElement("span");
    this.time.className = "time";
    this.append(this.button, this.canvas, this.time);
    this.show();
  }

  listen() {
    this.button.addEventListener("click", () => this.toggle());
    for (const name of ["play", "pause", "ended", "timeupdate", "loadedmetadata"]) {
      this.audio.addEventListener(name, () => this.show());
    }
    this.audio.addEventListener("error", () => {
      if (!this.audio.error || this.fresh) return;
      if (this.copied) this.time.textContent = "cannot be played";
      else this.playCopy();
    });
    this.canvas.addEventListener("click", (event) => {
      this.seek((event.offsetX / this.canvas.clientWidth) * this.seconds);
      if (this.audio.paused) this.toggle();
    });
    this.canvas.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -2, ArrowRight: 2, PageDown: -10, PageUp: 10 };
      if (event.key in steps) this.seek(this.audio.currentTime + steps[event.key]);
      else if (event.key === "Home") this.seek(0);
      else if (event.key === "End") this.seek(this.seconds);
      else if (event.key === " " || event.key === "Enter") this.toggle();
      else return;
      event.preventDefault();
    });
  }

  // Peaks are fetched when the player comes into view, and drawn anew when its size changes.
  watch() {
    new ResizeObserver(() => this.show()).observe(this.canvas);
    const seen = new IntersectionObserver(async (entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      seen.disconnect();
      await this.loadPeaks();
      this.show();
    });
    seen.observe(this);
  }

  // A clip without kept peaks is measured here, when the browser can decode it.
  async loadPeaks() {
    const answer = await fetch(this.dataset.peaks || this.dataset.src);
    if (!answer.ok) return;
    if (this.dataset.peaks) {
      this.peaks = (await answer.json()).peaks;
      return;
    }
    try {
      const { peaks, seconds } = await peaksOfFile(await answer.blob());
      this.peaks = peaks;
      this.dataset.durationMs = String(seconds * 1000);
    } catch {
      this.peaks = [];
    }
  }

  async toggle() {
    if (!this.audio.paused) {
      this.audio.pause();
      return;
    }
    const last = AudioPlayer.sounding;
    if (last && last !== this) {
      const goesOn = !last.audio.paused && this.dataset.group && this.dataset.group === last.dataset.group;
      last.audio.pause();
      if (goesOn) this.seek(this.from + last.audio.currentTime - last.from);
    }
    AudioPlayer.sounding = this;
    document.dispatchEvent(new CustomEvent("sounding", { detail: this }));
    if (this.fresh && this.from !== null) this.audio.currentTime = this.from;
    this.fresh = false;
    try {
      await this.audio.play();
    } catch (error) {
      const toldElsewhere = ["AbortError", "NotSupportedError"].includes(error.name);
      if (!toldElsewhere) this.time.textContent = "cannot be played";
    }
  }

  // This browser cannot play what others can, such as Ogg in an older Safari: FLAC plays in all.
  playCopy() {
    const at = this.audio.currentTime;
    this.copied = true;
    const address = new URL(this.dataset.src, location.href);
    address.searchParams.set("flac", "1");
    this.audio.src = address;
    this.audio.currentTime = at;
    this.audio.play().catch(() => {});
  }

  seek(seconds) {
    this.fresh = false;
    this.audio.currentTime = Math.min(Math.max(0, seconds), this.seconds);
    this.show();
  }

  show() {
    const sounding = !this.audio.paused;
    const at = this.fresh && this.from !== null ? this.from : this.audio.currentTime;
    this.classList.toggle("sounding", sounding);
    this.button.setAttribute("aria-label", `${sounding ? "Pause" : "Play"} ${this.dataset.label}`);
    this.canvas.setAttribute("aria-valuemax", String(Math.round(this.seconds)));
    this.canvas.setAttribute("aria-valuenow", String(Math.round(at)));
    this.canvas.setAttribute("aria-valuetext", `${clock(at)} of ${clock(this.seconds)}`);
    this.time.textContent = `${clock(at)} / ${clock(this.seconds)}`;
    const part = (seconds) => (seconds === null || !this.seconds ? null : seconds / this.seconds);
    drawWaveform(this.canvas, this.peaks, {
      progress: this.fresh ? 0 : this.audio.currentTime / (this.seconds || 1),
      from: part(this.from),
      to: part(this.to),
    });
  }

  disconnectedCallback() {
    this.audio?.pause();
  }
}
