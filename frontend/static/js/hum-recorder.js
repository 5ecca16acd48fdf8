import { Calm, hintOf } from "./hum-hints.js";
import { closeMicrophone, openMicrophone, recordedFile, whyNoMicrophone } from "./microphone.js";
import { drawPitchLine } from "./pitch-line.js";
import { pitchOf } from "./pitch-tracker.js";

const SHORTEST_S = 3;
const WANTED_S = 10;
const LONGEST_S = 15;
const LOOK_EVERY_MS = 33;
const DRAW_SELDOM_MS = 500; // for who wants less motion
const ANSWER = "same_tune";

// Records a hummed or whistled tune, draws its pitch meanwhile, and sends the form with it, asking
// for the tune first. Without a microphone it says why.
export class HumRecorder extends HTMLElement {
  connectedCallback() {
    if (this.status) return;
    this.hidden = false;
    this.build();
    const problem = whyNoMicrophone();
    this.button.hidden = Boolean(problem);
    // What the recorder beside it says of the same need not be said twice.
    if (problem && !this.parentElement.querySelector("clip-recorder")) this.status.textContent = problem;
    this.onKey = (event) => {
      if (event.key === "Escape" && this.recorder) this.cancel();
    };
    document.addEventListener("keydown", this.onKey);
    this.idle();
  }

  build() {
    this.button = button("record hum", () => (this.recorder ? this.stopWhenLongEnough() : this.start()));
    this.quit = button("quiet", () => this.cancel());
    this.quit.textContent = "Cancel";
    this.canvas = document.createElement("canvas");
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", "The pitch of what you hum, as a line");
    this.progress = document.createElement("progress");
    this.progress.max = WANTED_S;
    this.progress.setAttribute("aria-label", `Of ${WANTED_S} seconds`);
    this.time = document.createElement("span");
    this.time.className = "time";
    this.bar = document.createElement("div");
    this.bar.className = "bar";
    this.bar.append(this.progress, this.time);
    this.status = document.createElement("p");
    this.status.className = "told";
    this.status.setAttribute("role", "status");
    this.append(this.canvas, this.bar, this.button, this.quit, this.status);
  }

  idle() {
    this.button.textContent = "Hum or whistle a tune";
    this.button.removeAttribute("aria-disabled");
    this.classList.remove("humming");
    for (const part of [this.canvas, this.bar, this.quit]) part.hidden = true;
  }

  async start() {
    if (this.opening) return;
    this.opening = true;
    this.status.textContent = "Waiting for the microphone …";
    try {
      this.stream = await openMicrophone();
    } catch (error) {
      this.status.textContent = error.message;
      return;
    } finally {
      this.opening = false;
    }
    for (const audio of document.querySelectorAll("audio")) audio.pause();
    this.record();
    this.classList.add("humming");
    for (const part of [this.canvas, this.bar, this.quit]) part.hidden = false;
    this.button.focus();
    this.look();
    this.timer = setInterval(() => this.look(), LOOK_EVERY_MS);
  }

  record() {
    const chunks = [];
    this.recorder = new MediaRecorder(this.stream, { audioBitsPerSecond: 96_000 });
    this.recorder.addEventListener("dataavailable", ({ data }) => chunks.push(data));
    this.recorder.addEventListener("stop", () => this.finish(chunks));
    this.recorder.start();
    this.began = performance.now();
    this.frames = [];
    this.calm = new Calm();
    this.drawnAt = -Infinity;
    this.isCancelled = false;
    this.context = new AudioContext();
    this.analyser = this.context.createAnalyser();
    this.analyser.fftSize = 8192; // a frame at 96 kHz, too
    this.samples = new Float32Array(this.analyser.fftSize);
    this.context.createMediaStreamSource(this.stream).connect(this.analyser);
  }

  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  look() {
    const at = this.seconds;
    if (at >= LONGEST_S) {
      this.stop();
      return;
    }
    this.analyser.getFloatTimeDomainData(this.samples);
    this.frames.push({ at, ...pitchOf(this.samples, this.context.sampleRate) });
    this.tell(at);
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (isCalm && performance.now() - this.drawnAt < DRAW_SELDOM_MS) return;
    this.drawnAt = performance.now();
    drawPitchLine(this.canvas, this.frames, { seconds: LONGEST_S, enough: WANTED_S });
  }

  tell(at) {
    const isEnough = at >= SHORTEST_S;
    this.progress.value = Math.min(at, WANTED_S);
    write(this.time, `${Math.floor(at)} s`);
    write(this.button, isEnough ? "Stop and search" : "Keep humming …");
    this.button.setAttribute("aria-disabled", String(!isEnough));
    write(this.status, this.calm.say(hintOf(this.frames), at));
  }

  stopWhenLongEnough() {
    if (this.seconds >= SHORTEST_S) this.stop();
    else this.calm.interject(`${SHORTEST_S} seconds at least are needed: keep humming`, this.seconds);
  }

  stop() {
    clearInterval(this.timer);
    if (this.recorder?.state === "recording") this.recorder.stop();
  }

  cancel() {
    this.isCancelled = true;
    this.stop();
  }

  finish(chunks) {
    closeMicrophone(this.stream);
    this.context.close();
    const file = recordedFile(chunks, this.recorder.mimeType, "Hum");
    this.recorder = null;
    this.idle();
    if (this.isCancelled) this.status.textContent = "Cancelled.";
    else if (!file.size) this.status.textContent = "The microphone gave no sound; try again.";
    else this.send(file);
  }

  send(file) {
    const form = this.closest("form");
    this.status.textContent = "Searching …";
    for (const name of ["start_s", "end_s"]) form.elements[name].value = ""; // of another clip
    this.dispatchEvent(new CustomEvent("recorded", { detail: file, bubbles: true }));
    if (!form.reportValidity()) {
      this.status.textContent = "Correct what is marked, then search.";
      return;
    }
    // Of this one sending only: whoever comes back and chooses a file asks as usual.
    form.addEventListener("formdata", ({ formData }) => formData.set("first", ANSWER), { once: true });
    form.requestSubmit();
  }

  disconnectedCallback() {
    document.removeEventListener("keydown", this.onKey);
    if (this.recorder) this.cancel();
  }
}

function button(classes, whenPressed) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = classes;
  made.addEventListener("click", whenPressed);
  return made;
}

// Only when it is another text: live regions may read out what is written again.
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
