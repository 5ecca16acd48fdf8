// What a hum is told while it goes on, from its frames so far: [{at, key, level}], `at` in seconds,
// `key` a MIDI number or null. Pure functions.
const QUIET = 0.002; // -54 dBFS: what is below it is a room
const RECENT_S = 1.5;
const ENOUGH_S = 10;
const TUNE_S = 2; // voiced for so long, it should have moved
const ONE_NOTE = 0.8; // semitones
const SHORTEST_RUN = 3; // frames: what has a pitch for a tenth of a second is no click

export function hintOf(frames) {
  const now = frames.at(-1)?.at ?? 0;
  if (now < 0.7) return "Listening …";
  const recent = frames.filter(({ at }) => at > now - RECENT_S);
  const heard = recent.filter(({ key }) => key !== null).length / recent.length;
  if (heard < 0.15) {
    const loudest = Math.max(...recent.map(({ level }) => level));
    return loudest < QUIET
      ? "Too quiet: hum closer to the microphone"
      : "I hear a sound, but no tune: hum or whistle";
  }
  if (isOneNote(frames)) return "That is one note; hum a tune";
  return now > ENOUGH_S ? "That is enough: stop whenever you like" : "I hear you";
}

function isOneNote(frames) {
  const keys = voicedRuns(frames).flat().map(({ key }) => key);
  const voicedS = (keys.length * frames.at(-1).at) / frames.length;
  if (voicedS < TUNE_S) return false;
  keys.sort((one, other) => one - other);
  return keys[Math.floor(0.9 * keys.length)] - keys[Math.floor(0.1 * keys.length)] < ONE_NOTE;
}

// Stretches with a pitch that last, without gaps and leaps of an octave and more.
export function voicedRuns(frames) {
  const runs = [];
  let run = [];
  for (const frame of frames) {
    const goesOn = frame.key !== null && run.length && Math.abs(frame.key - run.at(-1).key) < 11;
    if (!goesOn && run.length) {
      runs.push(run);
      run = [];
    }
    if (frame.key !== null) run.push(frame);
  }
  if (run.length) runs.push(run);
  return runs.filter(({ length }) => length >= SHORTEST_RUN);
}

// Lets a sentence through only when it has held for a while, so that nothing chatters.
export class Calm {
  constructor(holds_s = 0.7, rests_s = 1.5) {
    this.holds_s = holds_s;
    this.rests_s = rests_s;
    this.said = this.heard = "";
    this.saidAt = -Infinity;
    this.since = 0;
  }

  say(sentence, now) {
    if (sentence !== this.heard) this.since = now;
    this.heard = sentence;
    const held = now - this.since >= this.holds_s && now - this.saidAt >= this.rests_s;
    if (!this.said || (held && sentence !== this.said)) this.interject(sentence, now);
    return this.said;
  }

  interject(sentence, now) {
    this.said = sentence;
    this.saidAt = now;
  }
}
