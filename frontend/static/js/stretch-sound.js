const MOST_BYTES = 30 * 2 ** 20;
const MOST_MS = 12 * 60 * 1000; // decoded, more would fill the memory of a phone
const SHORT_BYTES = 3 * 2 ** 20;

export class TooLong extends Error {}

// A stretch of a sound at an address: as an element that plays from there, which needs little of the
// file, or as samples, which needs all of it. durationMs: of the whole; null where it is not known.
export class StretchSound {
  constructor({ address, from_ms, to_ms, durationMs = null }) {
    this.address = address;
    this.from = from_ms / 1000;
    this.to = to_ms / 1000;
    this.durationMs = durationMs;
    this.kept = null;
  }

  get seconds() {
    return this.to - this.from;
  }

  // Whether samples are here, or better than an element: what a microphone recorded does not know how
  // long it is, and cannot be played from the middle.
  async isBestAsSamples() {
    return this.kept !== null || (this.durationMs === null && (await this.bytes()) <= SHORT_BYTES);
  }

  // Mono samples of the stretch at the rate of the context. Throws TooLong before anything is fetched.
  async samples(context) {
    if (this.kept) return this.kept;
    const isLong = this.durationMs !== null && this.durationMs > MOST_MS;
    if (isLong || (await this.bytes()) > MOST_BYTES) throw new TooLong();
    const sound = await this.decoded(context);
    const first = Math.round(this.from * sound.sampleRate);
    const last = Math.min(sound.length, Math.round(this.to * sound.sampleRate));
    const mono = new Float32Array(Math.max(0, last - first));
    for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
      const data = sound.getChannelData(channel).subarray(first, last);
      for (let i = 0; i < mono.length; i += 1) mono[i] += data[i] / sound.numberOfChannels;
    }
    this.kept = mono;
    return mono;
  }

  // What this browser cannot decode comes as FLAC, which all do.
  async decoded(context) {
    try {
      return await context.decodeAudioData(await fetched(this.address));
    } catch (error) {
      if (error.name !== "EncodingError") throw error;
      return context.decodeAudioData(await fetched(this.flac));
    }
  }

  get flac() {
    const address = new URL(this.address, location.href);
    address.searchParams.set("flac", "1");
    return address;
  }

  async bytes() {
    const answer = await fetch(this.address, { method: "HEAD" });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return Number(answer.headers.get("Content-Length"));
  }

  // Plays it by an <audio>, which is made once; ended() is called at its end and where it fails.
  async playElement(ended) {
    this.audio ??= new Audio(this.address);
    this.audio.ontimeupdate = () => {
      if (this.audio.currentTime >= this.to) ended();
    };
    this.audio.onended = ended;
    this.audio.currentTime = this.from;
    try {
      await this.audio.play();
    } catch (error) {
      if (error.name !== "NotSupportedError" || this.audio.src.includes("flac=1")) throw error;
      this.audio.src = this.flac;
      this.audio.currentTime = this.from;
      await this.audio.play();
    }
  }
}

async function fetched(address) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${answer.status}`);
  return answer.arrayBuffer();
}
