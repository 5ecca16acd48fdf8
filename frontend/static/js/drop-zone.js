import { clock, drawWaveform, peaksOfFile } from "./waveform.js";

// Wraps a file input: takes dropped and recorded files, shows the clip and lets a stretch be chosen.
export class DropZone extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input[type=file]");
    this.preview = this.querySelector(".preview");
    const label = this.querySelector(".drop");
    for (const name of ["dragenter", "dragover"]) {
      this.addEventListener(name, (event) => {
        event.preventDefault();
        label.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) {
      this.addEventListener(name, () => label.classList.remove("over"));
    }
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      if (event.dataTransfer.files.length) this.take(event.dataTransfer.files[0]);
    });
    const excerpt = this.querySelector("[data-excerpt]");
    excerpt?.addEventListener("click", () => this.fetch(excerpt.dataset.excerpt));
    this.addEventListener("recorded", (event) => this.take(event.detail));
    this.input.addEventListener("change", () => this.show());
    for (const name of ["start_s", "end_s"]) {
      this.stretchInput(name)?.addEventListener("input", () => this.draw());
    }
    if (this.input.files.length) this.show();
  }

  stretchInput(name) {
    return this.closest("form").elements[name];
  }

  async fetch(address) {
    const answer = await fetch(address).catch(() => null);
    if (!answer?.ok) {
      this.preview.textContent = "The excerpt could not be fetched; try again in a moment.";
      return;
    }
    this.take(new File([await answer.blob()], "Noisy excerpt.flac", { type: "audio/flac" }));
    this.preview.querySelector("audio").play();
  }

  take(file) {
    const transfer = new DataTransfer();
    transfer.items.add(file);
    this.input.files = transfer.files;
    this.show();
  }

  async show() {
    const file = this.input.files[0];
    this.preview.replaceChildren();
    if (this.address) URL.revokeObjectURL(this.address);
    if (!file) return;
    this.address = URL.createObjectURL(file);
    const title = document.createElement("p");
    title.textContent = file.name;
    const player = document.createElement("audio");
    player.controls = true;
    player.src = this.address;
    this.preview.append(title, player);
    try {
      const { peaks, seconds } = await peaksOfFile(file);
      this.peaks = peaks;
      this.seconds = seconds;
      title.textContent = `${file.name}, ${clock(seconds)}`;
      this.addStretch();
    } catch {
      // The browser cannot decode it, so there is no waveform; the server may still read it.
    }
  }

  addStretch() {
    this.canvas = document.createElement("canvas");
    this.canvas.className = "stretch";
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "Waveform; the fields below choose a stretch of it");
    const hint = document.createElement("small");
    hint.textContent = "Drag over the waveform to search with a stretch of it only.";
    this.preview.append(this.canvas);
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    if (!("stretch" in this.dataset)) {
      this.canvas.setAttribute("aria-label", "Waveform");
      return;
    }
    this.preview.append(hint);
    let from = null;
    const at = (event) => {
      const part = (event.clientX - this.canvas.getBoundingClientRect().left) / this.canvas.clientWidth;
      return Math.min(1, Math.max(0, part)) * this.seconds;
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      from = at(event);
      this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (from !== null) this.choose(from, at(event));
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (Math.abs(at(event) - from) < 0.1) this.choose(null, null);
      from = null;
    });
  }

  choose(one, other) {
    const write = (name, value) => {
      const input = this.stretchInput(name);
      if (input) input.value = value === null ? "" : value.toFixed(1);
    };
    write("start_s", one === null ? null : Math.min(one, other));
    write("end_s", one === null ? null : Math.max(one, other));
    this.draw();
  }

  draw() {
    if (!this.canvas) return;
    const start = Number(this.stretchInput("start_s")?.value || 0);
    const end = Number(this.stretchInput("end_s")?.value || this.seconds);
    const chosen = start > 0 || end < this.seconds;
    drawWaveform(this.canvas, this.peaks, {
      from: chosen ? start / this.seconds : null,
      to: chosen ? end / this.seconds : null,
    });
  }
}
