import { penOf } from "./canvas.js";

// Draws peaks (0 to 255) on a canvas: what was played, what is to come, and the chosen moment.
export function drawWaveform(canvas, peaks, { progress = 0, from = null, to = null } = {}) {
  const shown = penOf(canvas);
  if (!shown) return;
  const { pen, width, height, style } = shown;
  if (from !== null && to > from) {
    pen.fillStyle = style.getPropertyValue("--moment");
    pen.fillRect(from * width, 0, Math.max(2, (to - from) * width), height);
  }
  const bars = Math.max(1, Math.floor(width / 3));
  const played = style.getPropertyValue("--accent");
  const ahead = style.getPropertyValue("--wave");
  for (let bar = 0; bar < bars; bar += 1) {
    const first = Math.floor((bar * peaks.length) / bars);
    const last = Math.max(first + 1, Math.floor(((bar + 1) * peaks.length) / bars));
    let peak = 0;
    for (let i = first; i < last; i += 1) peak = Math.max(peak, peaks[i] || 0);
    const tall = Math.max(1.5, (peak / 255) * (height - 2));
    pen.fillStyle = bar / bars < progress ? played : ahead;
    pen.fillRect(bar * 3, (height - tall) / 2, 2, tall);
  }
}

// The peaks of a file that has not been sent yet.
export async function peaksOfFile(file, buckets = 600) {
  const context = new AudioContext();
  try {
    const audio = await context.decodeAudioData(await file.arrayBuffer());
    const samples = audio.getChannelData(0);
    const peaks = new Array(buckets).fill(0);
    for (let i = 0; i < samples.length; i += 1) {
      const bucket = Math.floor((i * buckets) / samples.length);
      const level = Math.abs(samples[i]);
      if (level > peaks[bucket]) peaks[bucket] = level;
    }
    const loudest = Math.max(...peaks) || 1;
    return { peaks: peaks.map((level) => (level * 255) / loudest), seconds: audio.duration };
  } finally {
    context.close();
  }
}

export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds || 0));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
