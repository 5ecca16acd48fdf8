// Registers the custom elements and the few things that pages do with keys.
import { AudioPlayer } from "./audio-player.js";
import { ClipRecorder } from "./clip-recorder.js";
import { DropZone } from "./drop-zone.js";
import { HumRecorder } from "./hum-recorder.js";
import { ScanUpload } from "./scan-upload.js";
import { TuneComparison } from "./tune-comparison.js";
import { UploadList } from "./upload-list.js";

customElements.define("audio-player", AudioPlayer);
customElements.define("clip-recorder", ClipRecorder);
customElements.define("drop-zone", DropZone);
customElements.define("hum-recorder", HumRecorder);
customElements.define("scan-upload", ScanUpload);
customElements.define("tune-comparison", TuneComparison);
customElements.define("upload-list", UploadList);

document.documentElement.classList.add("scripted");

// With scripts a search is answered one by one: the page asks for what has not come with it.
for (const input of document.querySelectorAll("input.with-script")) input.disabled = false;

const tickAll = document.querySelector(".tick-all");
tickAll?.addEventListener("change", () => {
  for (const box of document.querySelectorAll("input[name=track]")) box.checked = tickAll.checked;
});

// Forms that take a while say so, and are not sent twice.
const slowForms = document.querySelectorAll("form.slow");
const busy = (form, on) => {
  form.querySelector(".working").hidden = !on;
  form.querySelector("button.primary").disabled = on;
};
for (const form of slowForms) {
  form.addEventListener("submit", () => busy(form, true));
  form.addEventListener("htmx:afterRequest", () => busy(form, false));
}
window.addEventListener("pageshow", () => {
  for (const form of slowForms) busy(form, false);
});

// What names a moment of the recording plays the page's first player from there.
document.addEventListener("click", (event) => {
  const moment = event.target.closest("[data-seek-ms]");
  const player = moment && document.querySelector("audio-player");
  if (!player) return;
  player.seek(Number(moment.dataset.seekMs) / 1000);
  if (player.audio.paused) player.toggle();
});

// j and k walk through the hits, Enter plays the one that is focused.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, button, a, summary, [role=slider]")) return;
  const hits = [...document.querySelectorAll(".hit")];
  if (!hits.length) return;
  const at = hits.indexOf(document.activeElement.closest(".hit"));
  if (event.key === "j") hits[Math.min(at + 1, hits.length - 1)].focus();
  else if (event.key === "k") hits[Math.max(at - 1, 0)].focus();
  else if ((event.key === "Enter" || event.key === " ") && at >= 0) hits[at].querySelector("audio-player").toggle();
  else return;
  event.preventDefault();
});
