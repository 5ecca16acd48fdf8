// Uploads files one after the other, each with its progress; what is refused does not stop the rest.
export class UploadList extends HTMLElement {
  connectedCallback() {
    this.form = this.closest("form");
    this.list = this.querySelector(".uploads");
    this.summary = this.querySelector(".summary");
    this.queue = [];
    this.counts = { added: 0, "already there": 0, refused: 0, "passed over": 0 };
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

  next() {
    this.tell();
    if (this.sending || !this.queue.length) return;
    const upload = this.queue.shift();
    this.sending = upload;
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
    if (answer.error) answer = { outcome: "refused", message: answer.error.message };
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
