// Wraps the form of a scan: takes a dropped recording, which is too long to be decoded here, and
// shows how far its upload is. Without scripts the form is sent as any other.

const REFUSALS = {
  0: "The server cannot be reached; the recording was not sent.",
  403: "You may not send this now. Log in again in another tab, then send it again.",
  413: "The recording is too large for this server. Cut it, or convert it to Opus or MP3.",
  429: "Too much was asked for just now. Send it again in a minute.",
};

export class ScanUpload extends HTMLElement {
  connectedCallback() {
    this.form = this.querySelector("form");
    this.input = this.querySelector("input[type=file]");
    this.label = this.querySelector(".drop");
    this.name = this.querySelector(".chosen");
    this.status = this.querySelector(".uploading");
    this.bar = this.status.querySelector("progress");
    for (const name of ["dragenter", "dragover"]) {
      this.addEventListener(name, (event) => {
        event.preventDefault();
        this.label.classList.add("over");
      });
    }
    for (const name of ["dragleave", "drop"]) {
      this.addEventListener(name, () => this.label.classList.remove("over"));
    }
    this.addEventListener("drop", (event) => {
      event.preventDefault();
      if (!event.dataTransfer.files.length) return;
      const transfer = new DataTransfer();
      transfer.items.add(event.dataTransfer.files[0]);
      this.input.files = transfer.files;
      this.show();
    });
    this.input.addEventListener("change", () => this.show());
    this.form.addEventListener("htmx:beforeRequest", () => this.sending(true));
    this.form.addEventListener("htmx:afterRequest", () => this.sending(false));
    this.form.addEventListener("htmx:xhr:progress", (event) => {
      if (event.detail.lengthComputable) this.bar.value = event.detail.loaded / event.detail.total;
    });
    for (const name of ["htmx:sendError", "htmx:responseError"]) {
      this.form.addEventListener(name, (event) => this.refuse(event.detail.xhr));
    }
    this.show();
  }

  show() {
    const file = this.input.files[0];
    const megabytes = file ? Math.max(0.1, file.size / 2 ** 20).toFixed(1) : "";
    this.name.textContent = file ? `${file.name}, ${megabytes} MB` : "";
  }

  sending(on) {
    this.status.hidden = !on;
    this.bar.value = 0;
    this.form.querySelector("button.primary").disabled = on;
  }

  refuse(request) {
    const message = document.createElement("p");
    message.className = "error";
    message.setAttribute("role", "alert");
    message.textContent =
      REFUSALS[request.status] ??
      `The recording was not taken (error ${request.status}). Try it again in a minute.`;
    this.querySelector(".problems").replaceChildren(message);
  }
}
