import { closeMicrophone, openMicrophone, recordedFile, whyNoMicrophone } from "./microphone.js";

const QUIET = 0.003; // -50 dBFS: below it nobody is taken to speak
const FAINT = 0.02; // -34 dBFS
const CLIPPED = 0.99;
const WANTED_S = 10;
const LOOK_UP_EVERY_MS = 1500;
const SURE = 0.97;
const SOON_S = 5; // when a busy server does not say when to come back

// Records a few seconds from the microphone and hands them to the form as a file. With data-voice it
// says, while recording, what would make the voice better known. With data-lookup, the address of a
// search, it asks meanwhile what is playing, and sends the form as soon as that is sure.
export class ClipRecorder extends HTMLElement {
  connectedCallback() {
    if (this.status) return;
    this.hidden = false;
    this.status = document.createElement("span");
    this.status.setAttribute("role", "status");
    const problem = whyNoMicrophone();
    if (problem) {
      this.status.textContent = problem;
      this.append(this.status);
      return;
    }
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "record";
    this.level = document.createElement("meter");
    this.level.max = 1;
    this.level.hidden = true;
    this.level.setAttribute("aria-label", "Microphone level");
    this.append(this.button, this.level, this.status);
    this.button.addEventListener("click", () => (this.recorder ? this.stop() : this.start()));
    this.idle();
  }

  idle() {
    this.button.textContent = "Record with the microphone";
    this.classList.remove("recording");
    this.level.hidden = true;
  }

  async start() {
    let stream;
    try {
      stream = await openMicrophone();
    } catch (error) {
      this.status.textContent = error.message;
      return;
    }
    const chunks = [];
    this.found = "";
    this.notBefore = 0;
    this.recorder = new MediaRecorder(stream);
    this.recorder.addEventListener("dataavailable", (event) => {
      chunks.push(event.data);
      if (this.dataset.lookup && this.recorder?.state === "recording") this.lookUp(chunks);
    });
    this.recorder.addEventListener("stop", () => this.finish(stream, chunks));
    this.recorder.start(this.dataset.lookup ? LOOK_UP_EVERY_MS : undefined);
    this.classList.add("recording");
    this.button.textContent = "Stop";
    this.began = performance.now();
    this.heard = { spoken: 0, loudness: 0, clipped: 0, frames: 0 };
    this.meter(stream);
    this.timer = setInterval(() => this.tick(), 200);
  }

  tick() {
    const seconds = (performance.now() - this.began) / 1000;
    this.status.textContent = `Recording, ${seconds.toFixed(0)} s${this.hint(seconds)}`;
    if (seconds > 60) this.stop();
  }

  // One at a time, so that a slow server is asked less often; and not before it says.
  async lookUp(chunks) {
    if (this.asking || performance.now() < this.notBefore) return;
    this.asking = true;
    try {
      const answer = await fetch(this.dataset.lookup, this.asked(chunks));
      if (answer.ok) this.consider((await answer.json()).answers);
      else if ([429, 503].includes(answer.status)) {
        const wait_s = Number(answer.headers.get("Retry-After")) || SOON_S;
        this.notBefore = performance.now() + wait_s * 1000;
      }
    } catch {
      // Nobody answers: the recording goes on, and is sent as a whole at its end.
    } finally {
      this.asking = false;
    }
  }

  asked(chunks) {
    const form = new FormData(this.closest("form"));
    const body = new FormData();
    body.append("file", this.fileOf(chunks));
    body.append("as_recorded", true); // other speeds are dear; they are tried once, with all of it
    for (const [name, field] of [["collections", "collection"], ["kinds", "kind"], ["tags", "tags"]]) {
      for (const value of form.getAll(name)) body.append(field, value);
    }
    return { method: "POST", body, headers: { "X-CSRFToken": form.get("csrfmiddlewaretoken") } };
  }

  consider(answers) {
    for (const { verdict, hits } of Object.values(answers)) {
      if (verdict !== "match" || hits[0].probability < SURE || this.recorder?.state !== "recording") continue;
      this.found = hits[0].track.title;
      this.stop();
    }
  }

  hint(seconds) {
    if (this.dataset.lookup) return ". Listening for what is playing …";
    const { spoken, loudness, clipped, frames } = this.heard;
    if (!("voice" in this.dataset) || seconds < 1 || !frames) return "";
    if (clipped > frames / 50) return ". Too loud: turn the level down or move away";
    if (!spoken) return ". Nothing is heard: speak, or choose another microphone";
    if (loudness / spoken < FAINT) return ". Faint: come nearer to the microphone";
    if (seconds * (spoken / frames) < WANTED_S) return ". Good: keep speaking, ten seconds are best";
    return ". Enough: you can stop";
  }

  meter(stream) {
    this.context = new AudioContext();
    const analyser = this.context.createAnalyser();
    this.context.createMediaStreamSource(stream).connect(analyser);
    const samples = new Float32Array(analyser.fftSize);
    this.level.hidden = false;
    const look = () => {
      if (!this.recorder) return;
      analyser.getFloatTimeDomainData(samples);
      const peak = Math.max(...samples.map(Math.abs));
      const loudness = Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length);
      this.level.value = Math.min(1, 2 * peak);
      this.heard.frames += 1;
      this.heard.clipped += peak >= CLIPPED ? 1 : 0;
      if (loudness > QUIET) {
        this.heard.spoken += 1;
        this.heard.loudness += loudness;
      }
      requestAnimationFrame(look);
    };
    look();
  }

  stop() {
    clearInterval(this.timer);
    this.recorder.stop();
  }

  fileOf(chunks) {
    return recordedFile(chunks, this.recorder.mimeType, "recording");
  }

  finish(stream, chunks) {
    closeMicrophone(stream);
    this.context.close();
    const file = this.fileOf(chunks);
    this.recorder = null;
    this.idle();
    this.status.textContent = this.found
      ? `This is ${this.found}.`
      : "Recorded. Record again to replace it.";
    this.dispatchEvent(new CustomEvent("recorded", { detail: file, bubbles: true }));
    if (this.found) this.closest("form").requestSubmit();
  }

  disconnectedCallback() {
    if (this.recorder) this.stop();
  }
}
