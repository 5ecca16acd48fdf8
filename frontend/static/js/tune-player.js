import { changed } from "./time-stretch.js";

const HUM_DB = -18; // root mean square of 1 full scale: hums come faint, as no gain was applied
const SONG_BELOW_DB = 9;
const LOUDEST = 0.9;
const SOON_S = 0.05;
let context = null; // one for a page: browsers give few

// Plays the stretch that was hummed, that of the song, or both at once: then the song is softened,
// in the hum's key (an octave apart is the same key) and at its tempo.
// asked, song: a StretchSound each; semitones: how much the hum is above the song; told() is called
// when something begins or ends.
export class TunePlayer {
  constructor({ asked, song, semitones, told }) {
    Object.assign(this, { asked, song, semitones, told });
    this.mode = null;
    this.turn = 0;
    this.sources = [];
    this.element = null;
  }

  // mode: "asked", "song" or "together". Throws TooLong, and Error where a sound cannot be had.
  async play(mode) {
    this.stop();
    const turn = this.turn;
    this.mode = mode;
    this.isPreparing = true;
    this.told();
    try {
      context ??= new AudioContext();
      await context.resume();
      const layers = await this.layersOf(mode);
      if (turn !== this.turn) return;
      if (layers) this.start(layers);
      else await this.startElement(this[mode]);
    } catch (error) {
      if (turn !== this.turn) return;
      this.stop();
      throw error;
    }
    if (turn !== this.turn) return;
    this.isPreparing = false;
    this.told();
  }

  // Samples to start together; null for a long sound, which an element plays.
  async layersOf(mode) {
    if (mode === "together") {
      const asked = await this.asked.samples(context);
      return [levelled(asked, HUM_DB), levelled(await this.accompaniment(), HUM_DB - SONG_BELOW_DB)];
    }
    if (!(await this[mode].isBestAsSamples())) return null;
    const samples = await this[mode].samples(context);
    return [mode === "asked" ? levelled(samples, HUM_DB) : samples];
  }

  async accompaniment() {
    const semitones = sameKey(this.semitones);
    const duration = this.asked.seconds / this.song.seconds;
    const samples = await this.song.samples(context);
    this.adapted ??= changed(samples, context.sampleRate, { semitones, duration });
    return this.adapted;
  }

  start(layers) {
    this.begins = context.currentTime + SOON_S;
    this.sources = layers.map((samples) => {
      const buffer = context.createBuffer(1, Math.max(1, samples.length), context.sampleRate);
      buffer.copyToChannel(samples, 0);
      const source = context.createBufferSource();
      source.buffer = buffer;
      source.connect(context.destination);
      source.start(this.begins);
      return source;
    });
    this.seconds = (this.mode === "song" ? this.song : this.asked).seconds;
    const longest = this.sources.reduce((one, other) => (other.buffer.length > one.buffer.length ? other : one));
    longest.onended = () => this.stop();
  }

  async startElement(sound) {
    this.element = sound;
    await sound.playElement(() => {
      if (this.element === sound) this.stop();
    });
  }

  stop() {
    this.turn += 1;
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources = [];
    this.element?.audio?.pause();
    this.element = null;
    this.isPreparing = false;
    if (this.mode === null) return;
    this.mode = null;
    this.told();
  }

  // How much of the stretch has been played, from 0 to 1; null while nothing sounds.
  get progress() {
    if (this.element) return (this.element.audio.currentTime - this.element.from) / this.element.seconds;
    if (!this.sources.length) return null;
    return Math.min(1, Math.max(0, (context.currentTime - this.begins) / this.seconds));
  }
}

// The nearest way to the same key, of half an octave at most.
export function sameKey(semitones) {
  return ((((semitones + 6) % 12) + 12) % 12) - 6;
}

// So loud, in dB of 1 full scale, unless its peaks forbid.
function levelled(samples, wanted_db) {
  let energy = 1e-12;
  let peak = 1e-6;
  for (const one of samples) {
    energy += one * one;
    peak = Math.max(peak, Math.abs(one));
  }
  const gain = Math.min(10 ** (wanted_db / 20) / Math.sqrt(energy / samples.length), LOUDEST / peak);
  return samples.map((one) => one * gain);
}
