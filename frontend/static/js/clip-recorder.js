const QUIET = 0.003; // -50 dBFS: below it nobody is taken to speak
const FAINT = 0.02; // -34 dBFS
const CLIPPED = 0.99;
const WANTED_S = 10;

// Records a few seconds from the microphone and hands them to the form as a file. With data-voice it
// says, while recording, what would make the voice better known.
export class ClipRecorder extends HTMLElement {
  connectedCallback() {
    if (this.button || !navigator.mediaDevices || !window.MediaRecorder) return;
    this.hidden = false;
    this.button = document.createElement("button");
    this.button.type = "button";
    this.button.className = "record";
    this.status = document.createElement("span");
    this.status.setAttribute("role", "status");
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
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      this.status.textContent =
        error.name === "NotFoundError"
          ? "There is no microphone."
          : "The browser does not let this page use the microphone; allow it and try again.";
      return;
    }
    const chunks = [];
    this.recorder = new MediaRecorder(stream);
    this.recorder.addEventListener("dataavailable", (event) => chunks.push(event.data));
    this.recorder.addEventListener("stop", () => this.finish(stream, chunks));
    this.recorder.start();
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

  hint(seconds) {
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

  finish(stream, chunks) {
    for (const track of stream.getTracks()) track.stop();
    this.context.close();
    const type = this.recorder.mimeType.split(";")[0] || "audio/webm";
    this.recorder = null;
    this.idle();
    const name = `recording.${type.includes("mp4") ? "m4a" : type.includes("ogg") ? "ogg" : "webm"}`;
    const file = new File(chunks, name, { type });
    this.status.textContent = "Recorded. Record again to replace it.";
    this.dispatchEvent(new CustomEvent("recorded", { detail: file, bubbles: true }));
  }

  disconnectedCallback() {
    if (this.recorder) this.stop();
  }
}
