// Uploads files one after the other, each with its progress; what is refused does not stop the rest,
// but that there is no room: that is asked before each is sent.
export class UploadList extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.list = this.querySelector(".uploads");
    this.summary = this.querySelector(".summary");
    this.stopped = this.querySelector(".stopped");
    this.queue = [];
    this.counts = { added: 0, "already there": 0, refused: 0, "passed over": 0, "not sent": 0 };
    const input = this.querySelector("#id_files");
    const folder = this.querySelector("#id_folder");
    this.querySelector(".folder").hidden = !("webkitdirectory" in folder);
    for (const source of [input, folder]) {
      source.addEventListener("change", () => {
        this.add([...source.files]);
        source.value = "";
      });
    }
    this.form.addEventListener("submit", (event) => event.preventDefault());
    this.takeDrops();
    window.addEventListener("beforeunload", (event) => {
      if (this.queue.length || this.sending) event.preventDefault();
    });
  }

  takeDrops() {
    const label = this.querySelector(".drop");
    this.addEventListener("dragover", (event) => {
      event.preventDefault();
      label.classList.add("over");
    });
    this.addEventListener("dragleave", () => label.classList.remove("over"));
    this.addEventListener("drop", async (event) => {
      event.preventDefault();
      label.classList.remove("over");
      const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.());
      const found = await Promise.all(entries.filter(Boolean).map(filesOf));
      this.add(entries.some(Boolean) ? found.flat() : [...event.dataTransfer.files]);
    });
  }

  add(files) {
    this.stopped.hidden = true;
    for (const file of files) {
      if ((file.webkitRelativePath || file.name).split("/").some(isLitter)) {
        this.counts["passed over"] += 1;
        continue;
      }
      const item = document.createElement("li");
      const name = document.createElement("strong");
      name.textContent = file.webkitRelativePath || file.name;
      const bar = document.createElement("progress");
      bar.max = 1;
      bar.value = 0;
      bar.setAttribute("aria-label", `Upload of ${file.name}`);
      const outcome = document.createElement("span");
      outcome.textContent = "waiting";
      item.append(name, bar, outcome);
      this.list.append(item);
      this.queue.push({ file, item, bar, outcome });
    }
    this.next();
  }

  async next() {
    this.tell();
    if (this.sending) return;
    if (!this.queue.length) {
      this.askForRoom(1);
      return;
    }
    const upload = this.queue.shift();
    this.sending = upload;
    const refusal = await this.askForRoom(upload.file.size);
    if (refusal) this.stop(upload, refusal);
    else this.send(upload);
  }

  // Tells what is used by now; why there is no room for so many bytes, or nothing if there is.
  async askForRoom(bytes) {
    if (!this.dataset.quota) return "";
    try {
      const answer = await fetch(`${this.dataset.quota}?bytes=${bytes}`);
      const { message, refusal } = await answer.json();
      document.querySelector(".quota").textContent = message ?? "";
      return refusal;
    } catch {
      return ""; // the upload will tell
    }
  }

  stop(upload, reason) {
    for (const each of [upload, ...this.queue.splice(0)]) {
      each.bar.remove();
      each.item.className = "not-sent";
      each.outcome.textContent = "not sent";
      this.counts["not sent"] += 1;
    }
    this.stopped.textContent = reason;
    this.stopped.hidden = false;
    this.sending = null;
    this.tell();
  }

  send(upload) {
    const data = new FormData(this.form);
    data.delete("files");
    data.append("files", upload.file, upload.file.name);
    const request = new XMLHttpRequest();
    request.open("POST", this.form.action);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (event) => {
      upload.bar.value = event.total ? event.loaded / event.total : 0;
      upload.outcome.textContent = event.loaded === event.total ? "checking" : "sending";
    });
    request.addEventListener("load", () => this.finish(upload, request));
    request.addEventListener("error", () => this.lost(upload));
    request.send(data);
  }

  finish(upload, request) {
    let answer;
    try {
      answer = JSON.parse(request.responseText);
    } catch {
      this.lost(upload);
      return;
    }
    if (answer.error) answer = { outcome: "refused", ...answer.error };
    if (answer.code === "quota_exceeded") {
      this.stop(upload, answer.message);
      return;
    }
    upload.bar.remove();
    upload.item.className = answer.outcome.replace(" ", "-");
    this.counts[answer.outcome] += 1;
    upload.outcome.textContent = answer.outcome === "refused" ? `refused: ${answer.message}` : "";
    if (answer.url) {
      const link = document.createElement("a");
      link.href = answer.url;
      link.textContent = answer.outcome;
      upload.outcome.append(link);
    }
    this.sending = null;
    this.next();
  }

  lost(upload) {
    const retry = document.createElement("button");
    retry.type = "button";
    retry.textContent = "Try again";
    retry.addEventListener("click", () => {
      retry.remove();
      this.queue.push(upload);
      this.next();
    });
    upload.outcome.textContent = "The server could not be reached. ";
    upload.item.append(retry);
    this.sending = null;
    this.next();
  }

  tell() {
    const done = Object.entries(this.counts).filter(([, count]) => count);
    const parts = done.map(([outcome, count]) => `${count} ${outcome}`);
    const waiting = this.queue.length + (this.sending ? 1 : 0);
    if (waiting) parts.push(`${waiting} to go`);
    this.summary.textContent = parts.join(", ");
  }
}

const LITTER = ["thumbs.db", "desktop.ini", "__macosx", "@eadir", "$recycle.bin", "system volume information"];

// Hidden, or left behind by a file manager; apps/catalog/names.py says the same of what is imported.
function isLitter(name) {
  return name.startsWith(".") || LITTER.includes(name.toLowerCase());
}

// All files below a dropped file or folder.
async function filesOf(entry) {
  if (entry.isDirectory && isLitter(entry.name)) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const files = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return files;
    for (const found of await Promise.all(some.map(filesOf))) files.push(...found);
  }
}
