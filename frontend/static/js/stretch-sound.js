const MOST_BYTES = 30 * 2 ** 20;
const SHORT_BYTES = 3 * 2 ** 20;
const LONGEST_MS = 60_000; // that the address of a stretch gives

export class TooLong extends Error {}

// A stretch of a sound: as an element that plays from there, or as samples. whole: its address;
// stretch: the address that gives samples from one moment to another, empty where there is none; then
// samples take all of the sound.
export class StretchSound {
  constructor({ whole, stretch = "", from_ms, to_ms }) {
    Object.assign(this, { whole, stretch, from_ms, to_ms });
    this.from = from_ms / 1000;
    this.to = to_ms / 1000;
    this.kept = null;
  }

  get seconds() {
    return this.to - this.from;
  }

  // What a microphone recorded does not say how long it is, so an element cannot begin in the middle.
  async isBestAsSamples() {
    return !this.stretch && (await this.bytes()) <= SHORT_BYTES;
  }

  // Mono, at the rate of the context; of a long stretch the first minute. Throws TooLong before
  // anything is fetched.
  async samples(context) {
    this.kept ??= this.stretch
      ? mixed(await context.decodeAudioData(await fetched(this.addressOfStretch)))
      : mixed(await this.decoded(context), this.from, this.to);
    return this.kept;
  }

  // What this browser cannot decode comes as FLAC, which all do.
  async decoded(context) {
    if ((await this.bytes()) > MOST_BYTES) throw new TooLong();
    try {
      return await context.decodeAudioData(await fetched(this.whole));
    } catch (error) {
      if (error.name !== "EncodingError") throw error;
      return context.decodeAudioData(await fetched(this.flac));
    }
  }

  get addressOfStretch() {
    const to_ms = Math.min(this.to_ms, this.from_ms + LONGEST_MS);
    return withParameters(this.stretch, { from_ms: Math.round(this.from_ms), to_ms: Math.round(to_ms) });
  }

  get flac() {
    return withParameters(this.whole, { flac: 1 });
  }

  async bytes() {
    const answer = await fetch(this.whole, { method: "HEAD" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return Number(answer.headers.get("Content-Length"));
  }

  // Plays it by an <audio>, which is made once; ended() is called when it ends, fails or is paused.
  async playElement(ended) {
    this.audio ??= new Audio(this.whole);
    this.audio.onpause = this.audio.onerror = null;
    this.audio.ontimeupdate = () => {
      if (this.audio.currentTime >= this.to) ended();
    };
    this.audio.currentTime = this.from;
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name !== "NotSupportedError" || this.audio.src.includes("flac=1")) throw error;
      this.audio.src = this.flac;
      this.audio.currentTime = this.from;
      await this.audio.play();
    }
    this.audio.onpause = this.audio.onerror = ended;
  }
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.arrayBuffer();
}

function withParameters(address, parameters) {
  const made = new URL(address, location.href);
  for (const [name, value] of Object.entries(parameters)) made.searchParams.set(name, value);
  return made;
}

// All channels as one, from one second to another.
function mixed(sound, from = 0, to = sound.duration) {
  const first = Math.round(from * sound.sampleRate);
  const last = Math.min(sound.length, Math.round(to * sound.sampleRate));
  const mono = new Float32Array(Math.max(0, last - first));
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const data = sound.getChannelData(channel).subarray(first, last);
    for (let i = 0; i < mono.length; i += 1) mono[i] += data[i] / sound.numberOfChannels;
  }
  return mono;
}
