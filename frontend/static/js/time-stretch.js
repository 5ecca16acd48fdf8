// Sound at another tempo and in another key, each without the other. Pure functions on samples.
// The tempo by W. Verhelst and M. Roelands, An overlap-add technique based on waveform similarity
// (WSOLA), ICASSP 1993; the key by that and reading the samples faster or slower.
const WINDOW_S = 0.05;
const SEARCH_S = 0.0125; // to both sides: together a period of 40 Hz
const COARSE = 4; // samples: first only each so many are compared, at each so many places
const TAPS = 16; // of the interpolation, to both sides
const FINER = 512; // places between two samples

// samples: mono Float32Array at `rate` Hz. Gives them so many semitones higher, lasting `duration`
// times as long.
export function changed(samples, rate, { semitones = 0, duration = 1 }) {
  const ratio = 2 ** (semitones / 12);
  const stretched = Math.abs(duration * ratio - 1) < 1e-3 ? samples : stretch(samples, rate, duration * ratio);
  return Math.abs(ratio - 1) < 1e-6 ? stretched : readFaster(stretched, ratio);
}

// `duration` times as long, at the same pitch: windows that overlap by half are taken from where
// they continue the last one best.
export function stretch(samples, rate, duration) {
  const hop = Math.round((WINDOW_S * rate) / 2);
  const search = Math.round(SEARCH_S * rate);
  const window = Float32Array.from({ length: 2 * hop }, (_, i) => 0.5 - 0.5 * Math.cos((Math.PI * i) / hop));
  const length = Math.round(samples.length * duration);
  // Silence around, so that the first and the last window lie within.
  const padded = new Float32Array(samples.length + 2 * (hop + search) + 2 * hop);
  padded.set(samples, hop + search);
  const made = new Float32Array(length + 3 * hop);
  let last = null;
  for (let at = 0; at < length + hop; at += hop) {
    const middle = Math.min(Math.round(at / duration) + search, padded.length - 2 * hop - search);
    last = last === null ? middle : likest(padded, { wanted: last + hop, middle, search, size: hop });
    for (let i = 0; i < 2 * hop; i += 1) made[at + i] += padded[last + i] * window[i];
  }
  return made.slice(hop, hop + length);
}

// The place around `middle` from which the samples are likest to those from `wanted`.
function likest(samples, { wanted, middle, search, size }) {
  const reach = { wanted: Math.min(wanted, samples.length - size), size };
  const rough = best(samples, { ...reach, from: middle - search, to: middle + search, step: COARSE });
  return best(samples, { ...reach, from: rough - COARSE + 1, to: rough + COARSE - 1, step: 1 });
}

function best(samples, { wanted, size, from, to, step }) {
  let found = Math.max(0, from);
  let highest = -Infinity;
  for (let at = found; at <= Math.min(to, samples.length - size); at += step) {
    let product = 0;
    let energy = 1e-9;
    for (let i = 0; i < size; i += COARSE) {
      product += samples[wanted + i] * samples[at + i];
      energy += samples[at + i] * samples[at + i];
    }
    const likeness = product / Math.sqrt(energy);
    if (likeness > highest) {
      highest = likeness;
      found = at;
    }
  }
  return found;
}

// `ratio` times shorter and higher, by a windowed sinc that lets nothing pass above the new Nyquist.
function readFaster(samples, ratio) {
  const cutoff = Math.min(1, 1 / ratio);
  const reach = Math.ceil(TAPS / cutoff);
  const table = kernelTable(cutoff, reach);
  const made = new Float32Array(Math.floor(samples.length / ratio));
  for (let i = 0; i < made.length; i += 1) {
    const at = i * ratio;
    const first = Math.max(0, Math.ceil(at - reach));
    const last = Math.min(samples.length - 1, Math.floor(at + reach));
    let sum = 0;
    for (let j = first; j <= last; j += 1) sum += samples[j] * table[Math.round(Math.abs(at - j) * FINER)];
    made[i] = sum;
  }
  return made;
}

// The sinc's values from 0 to `reach` samples, FINER of them each.
function kernelTable(cutoff, reach) {
  return Float32Array.from({ length: reach * FINER + 1 }, (_, i) => {
    const x = (Math.PI * cutoff * i) / FINER;
    return cutoff * (i ? Math.sin(x) / x : 1) * (0.5 + 0.5 * Math.cos((Math.PI * i) / (reach * FINER)));
  });
}
