// Records a few seconds from the microphone and hands them to the form as a file.
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
    this.meter(stream);
    this.began = performance.now();
    this.timer = setInterval(() => this.tick(), 200);
  }

  tick() {
    const seconds = (performance.now() - this.began) / 1000;
    this.status.textContent = `Recording, ${seconds.toFixed(0)} s`;
    if (seconds > 60) this.stop();
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
      this.level.value = Math.min(1, 2 * Math.max(...samples.map(Math.abs)));
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
