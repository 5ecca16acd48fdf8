// The pitch of one voice, hummed or whistled, as one sings it: after P. McLeod and G. Wyvill, A
// smarter way to find pitch, ICMC 2005: the first high peak of the normalized square difference.
// Pure functions on samples, so that they can be tried without a microphone.
export const LOWEST_HZ = 75;
export const HIGHEST_HZ = 2500;
export const FRAME_S = 0.064;
const RATE = 22_050; // enough for the period of a whistle, and half the work
const CLEAR = 0.7; // of a peak: 0 is noise, 1 a tone
const AS_HIGH = 0.9; // of the highest: the first such peak is the period, later ones its multiples
const QUIETEST = 3e-4; // root mean square of 1 full scale

// samples: Float32Array of a frame, the newest last, at `rate` Hz; some FRAME_S of it are looked at.
// Gives {hz, key, clarity, level}: key is a MIDI number with fractions; hz and key are null where
// nothing has a pitch; level is a root mean square.
export function pitchOf(samples, rate) {
  const every = Math.max(1, Math.floor(rate / RATE));
  const frame = thinned(samples, every, Math.round((FRAME_S * rate) / every));
  const level = Math.sqrt(frame.reduce((sum, one) => sum + one * one, 0) / (frame.length || 1));
  const unvoiced = { hz: null, key: null, clarity: 0, level };
  if (level < QUIETEST) return unvoiced;
  const { lag, clarity } = period(frame, rate / every);
  if (clarity < CLEAR) return { ...unvoiced, clarity };
  const hz = rate / every / lag;
  return { hz, key: keyOf(hz), clarity, level };
}

export function keyOf(hz) {
  return 69 + 12 * Math.log2(hz / 440);
}

// The last `size` means of so many samples each, without what is constant.
function thinned(samples, every, size) {
  const length = Math.min(size, Math.floor(samples.length / every));
  const frame = new Float32Array(length);
  const first = samples.length - length * every;
  let mean = 0;
  for (let i = 0; i < length; i += 1) {
    let sum = 0;
    for (let j = 0; j < every; j += 1) sum += samples[first + i * every + j];
    frame[i] = sum / every;
    mean += frame[i] / length;
  }
  return frame.map((one) => one - mean);
}

// The lag of the period, in samples with fractions, and how high the likeness is there.
function period(frame, rate) {
  const first = Math.floor(rate / HIGHEST_HZ);
  const last = Math.min(Math.ceil(rate / LOWEST_HZ) + 1, Math.floor(frame.length / 2));
  const peaks = hillTops(likenesses(frame, last + 1), first);
  const highest = Math.max(0, ...peaks.map((peak) => peak.clarity));
  return peaks.find((peak) => peak.clarity >= AS_HIGH * highest) ?? { lag: 0, clarity: 0 };
}

// The highest peak of each hill between two falls below zero; that around no lag at all is none.
function hillTops(likeness, first) {
  const tops = [];
  let top = null;
  const fall = likeness.findIndex((one) => one <= 0);
  for (let lag = fall < 0 ? likeness.length : fall; lag < likeness.length - 1; lag += 1) {
    if (likeness[lag] <= 0) {
      if (top) tops.push(top);
      top = null;
    } else if (lag >= first && isPeak(likeness, lag)) {
      const peak = vertex(likeness, lag);
      if (!top || peak.clarity > top.clarity) top = peak;
    }
  }
  return top ? [...tops, top] : tops;
}

// By lag, from -1 to 1: twice the autocorrelation by the energy of both parts.
function likenesses(frame, count) {
  const found = new Float32Array(count);
  for (let lag = 0; lag < count; lag += 1) {
    let product = 0;
    let energy = 0;
    for (let i = 0; i + lag < frame.length; i += 1) {
      const one = frame[i];
      const other = frame[i + lag];
      product += one * other;
      energy += one * one + other * other;
    }
    found[lag] = energy ? (2 * product) / energy : 0;
  }
  return found;
}

function isPeak(values, at) {
  return values[at] > values[at - 1] && values[at] >= values[at + 1];
}

// Where the parabola through a peak and its neighbours is highest.
function vertex(values, at) {
  const [left, middle, right] = [values[at - 1], values[at], values[at + 1]];
  const bend = left - 2 * middle + right;
  const beside = bend < 0 ? (0.5 * (left - right)) / bend : 0;
  return { lag: at + beside, clarity: middle - 0.25 * (left - right) * beside };
}
