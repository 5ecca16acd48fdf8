"""Train the network that hears which pitch leads: audiosearch/engine/tunes/melody.onnx.

    python -m benchmarks.melody_training [--cache FOLDER] [--steps 5000]

It learns from songs that are made from seeds, in some 25 minutes on two cores: half of them are
like those of `benchmarks.tunes`, played by fluidsynth with the soundfont that calibrates; the
others are like those that the projection is trained on, by instruments and voices of our own
synthesis. `benchmarks.tunes` asks for none of these songs, and plays with other soundfonts. What is
printed at the end is how often the likeliest pitch is the melody's, within half a semitone, in
songs left out.
"""

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from tqdm import tqdm

from audiosearch.engine.arrays import FloatArray
from audiosearch.engine.tunes.melody_network import INPUT, MODEL, likelihoods_of
from audiosearch.engine.tunes.salience import (
    ABOVE,
    BELOW,
    BINS,
    FFT,
    HOP,
    KEYS,
    LEAD,
    LOWEST_KEY,
    PITCHES,
    SAMPLE_RATE,
    STEPS,
    TENTH,
    heard,
)
from audiosearch.engine.tunes.training_songs import Notes, made_song, played
from benchmarks.tunes_calibration import FONT
from benchmarks.tunes_catalogue import BATCH, song_of
from benchmarks.tunes_played import BEND_PER_SEMITONE, arranged, play, why_missing
from benchmarks.tunes_played import LEAD as LEADING

FIRST_SONG, FIRST_SEED = 700_000, 2_000_000
"""Of songs that fluidsynth plays, and of those of our own instruments."""
LEFT_OUT = 40
"""Songs of either kind that are not learnt from."""
TENTHS_PER_SECOND = SAMPLE_RATE // (HOP * TENTH)
RESOLUTION = 100
"""Steps of 1 in which spectra are kept; they reach 2.5."""
HARMONICS = (-BELOW, 0, 12 * STEPS, 57, 24 * STEPS, 84, ABOVE)
"""Steps up to the octave below a pitch, itself, and its harmonics from the second to the sixth."""
LOUDEST = 4
"""Of those, the second to the fourth are also told by how loud they are."""
CHANNELS = 24
REACHES = (1, 1), (1, 2), (2, 1), (4, 3), (8, 1)
"""Tenths of a second and semitones that a layer reaches to either side."""
SPREAD = 1.5
"""Steps around a pitch that are nearly as right."""
SONGS_AT_ONCE, LENGTH = 16, 128
FASTEST, DECAY, WARM_UP = 3e-3, 1e-4, 0.1
FARTHEST = 5 * STEPS
"""Songs are moved up or down by so much at most; TILT, NOISE: and their spectra changed."""
TILT, NOISE = 0.35, 0.06
TOLERANCE = 0.5
"""Semitones."""


class Example(NamedTuple):
    """spectra: (n, 2, PITCHES) uint8, RESOLUTION for 1; keys: (n,) of the melody, NaN in rests."""

    spectra: NDArray[np.uint8]
    keys: FloatArray


class Network(nn.Module):
    """From spectra, (songs, 2, n, PITCHES), logits of each pitch, and in the last column of none:
    (songs, n, BINS + 1). The steps of a semitone are channels."""

    def __init__(self) -> None:
        super().__init__()
        told = len(HARMONICS) + LOUDEST - 1
        self.enter = nn.Conv2d(STEPS * told, CHANNELS, 3, padding=1)
        self.around = nn.ModuleList(
            nn.Conv2d(CHANNELS, CHANNELS, 3, padding=reach, dilation=reach) for reach in REACHES
        )
        self.mixed = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 1) for _ in REACHES)
        self.leads = nn.Conv2d(CHANNELS, STEPS, 1)
        self.rests = nn.Linear(CHANNELS, 1)

    def forward(self, spectra: Tensor) -> Tensor:
        standing, loud = (
            [spectra[:, one : one + 1, :, BELOW + up : BELOW + up + BINS] for up in ups]
            for one, ups in enumerate((HARMONICS, HARMONICS[1:LOUDEST]))
        )
        stacked = torch.cat([*standing, *loud], 1)
        songs, told, count, _ = stacked.shape
        steps = stacked.reshape(songs, told, count, KEYS, STEPS).permute(0, 1, 4, 2, 3)
        now = functional.relu(self.enter(steps.reshape(songs, told * STEPS, count, KEYS)))
        for around, mixed in zip(self.around, self.mixed, strict=True):
            now = now + mixed(functional.relu(around(now)))
        now = functional.relu(now)
        leads = self.leads(now).permute(0, 2, 3, 1).reshape(songs, count, BINS)
        return torch.cat([leads, self.rests(now.amax(3).permute(0, 2, 1))], 2)


class Likelihoods(nn.Module):
    """What the product asks for."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, spectra: Tensor) -> Tensor:
        return functional.softmax(self.network(spectra), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--songs", type=int, default=1200, help="of either kind")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--cache", type=Path, help="where examples are kept for next time")
    parser.add_argument("--processes", type=int, default=2, help="that play songs")
    parser.add_argument("--to", type=Path, default=MODEL)
    options = parser.parse_args()
    if missing := why_missing([FONT]):
        parser.error(missing)
    kinds = [
        list(examples(kind, options.songs, options.processes, options.cache))
        for kind in (by_fluidsynth, by_ourselves)
    ]
    network = trained([one[LEFT_OUT:] for one in kinds], options.steps)
    export(network, options.to)
    shares = [right_share(options.to, one[:LEFT_OUT]) for one in kinds]
    print(f"right in songs that fluidsynth played {shares[0]:.3f}, in our own {shares[1]:.3f}")


def examples(
    kind: Callable[[range], list[Example]], songs: int, processes: int, cache: Path | None
) -> Iterator[Example]:
    """So many songs of a kind, made where they are not kept yet."""
    path = cache / f"examples-{kind.__name__}-{songs}.npz" if cache else None
    if path is None or not path.exists():
        batches = [range(begin, min(begin + BATCH, songs)) for begin in range(0, songs, BATCH)]
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            bar = tqdm(pool.map(kind, batches), total=len(batches), desc=kind.__name__)
            made = [one for batch in bar for one in batch]
        if path is None:
            yield from made
            return
        numbered = enumerate(made)
        arrays = {f"{n}-{name}": a for n, one in numbered for name, a in one._asdict().items()}
        np.savez(path, allow_pickle=False, **arrays)
    with np.load(path) as kept:
        for number in range(songs):
            yield Example(kept[f"{number}-spectra"], kept[f"{number}-keys"])


def by_fluidsynth(numbers: range) -> list[Example]:
    songs = [song_of(FIRST_SONG + number) for number in numbers]
    arrangements = [
        arranged(song, FIRST_SONG + number) for song, number in zip(songs, numbers, strict=True)
    ]
    found = []
    for song, arrangement, sound in zip(songs, arrangements, play(arrangements, FONT), strict=True):
        bends = (
            message.pitch
            for _, message in arrangement.events
            if message.type == "pitchwheel" and message.channel == LEADING
        )
        found.append(example(sound, song.seconds, next(bends) / BEND_PER_SEMITONE))
    return found


def by_ourselves(numbers: range) -> list[Example]:
    """In a tuning of their own: played faster or slower."""
    found = []
    for number in numbers:
        rng = np.random.default_rng((33, FIRST_SEED + number))
        song = made_song(rng)
        sound = played(song, rng)
        tuning = rng.uniform(-0.5, 0.5)
        faster = 2 ** (tuning / 12)
        places = np.arange(int(len(sound) / faster)) * faster
        sound = np.interp(places, np.arange(len(sound)), sound).astype(np.float32)
        melody = [(begin / faster, length / faster, key) for begin, length, key in song.melody]
        found.append(example(sound, melody, tuning))
    return found


def example(sound: FloatArray, melody: Notes, tuning: float) -> Example:
    """tuning: semitones that it sounds above its notes."""
    frames = len(sound) // HOP // TENTH * TENTH
    padded = np.concatenate([np.zeros(LEAD, np.float32), sound, np.zeros(FFT, np.float32)])
    spectra = np.minimum(np.round(heard(padded, frames).spectra * RESOLUTION), 255)
    keys = np.full(len(spectra), np.nan, np.float32)
    for begin, length, key in melody:
        first, last = (int(np.ceil(at * TENTHS_PER_SECOND - 0.5)) for at in (begin, begin + length))
        keys[first:last] = key + tuning
    return Example(spectra.astype(np.uint8), keys)


def trained(learnt: list[list[Example]], steps: int) -> Network:
    """From songs of several kinds, each as often; the same by the same PyTorch and processor."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), FASTEST, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, FASTEST, total_steps=steps, pct_start=WARM_UP
    )
    usual = 0.0
    bar = tqdm(range(steps), desc="train", mininterval=10)
    with ThreadPoolExecutor(1) as pool:
        following = pool.submit(batch, learnt, rng)
        for _ in bar:
            spectra, wanted = following.result()
            following = pool.submit(batch, learnt, rng)
            with torch.autocast("cpu", torch.bfloat16):
                logits = network(spectra)
            loss = -(wanted * functional.log_softmax(logits.float(), 2)).sum(2).mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            rate.step()
            usual += (float(loss.detach()) - usual) / min(bar.n + 1, 100)
            bar.set_postfix(loss=f"{usual:.4f}", refresh=False)
    return network.eval()


def batch(learnt: list[list[Example]], rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Stretches of songs, moved in pitch and changed in timbre, and what is to be heard of them."""
    spectra, wanted = list[FloatArray](), list[FloatArray]()
    while len(spectra) < SONGS_AT_ONCE:
        kind = learnt[rng.integers(len(learnt))]
        song = kind[rng.integers(len(kind))]
        if len(song.keys) <= LENGTH:
            continue
        begin = int(rng.integers(len(song.keys) - LENGTH))
        up = int(rng.integers(-FARTHEST, FARTHEST + 1))
        own = slice(begin, begin + LENGTH)
        spectra.append(changed(song.spectra[own], up, rng))
        wanted.append(targets(song.keys[own] + up / STEPS))
    inputs = np.stack(spectra).swapaxes(1, 2)
    return torch.from_numpy(np.ascontiguousarray(inputs)), torch.from_numpy(np.stack(wanted))


def changed(spectra: NDArray[np.uint8], up: int, rng: np.random.Generator) -> FloatArray:
    moved = np.zeros(spectra.shape, np.float32)
    there, here = (slice(max(0, by), min(PITCHES, PITCHES + by)) for by in (up, -up))
    moved[:, :, there] = spectra[:, :, here]
    tilt = 1 + rng.uniform(-TILT, TILT) * np.linspace(-1, 1, PITCHES) + rng.normal(0, 0.1)
    moved *= (tilt * rng.uniform(0.8, 1.25) / RESOLUTION).astype(np.float32)
    moved += np.abs(rng.normal(0, rng.uniform(0, NOISE), moved.shape)).astype(np.float32)
    return moved


def targets(keys: FloatArray) -> FloatArray:
    """(n, BINS + 1) how likely each pitch should be said to lead, and none in the last column."""
    places = (keys - LOWEST_KEY) * STEPS
    apart = np.abs(places[:, None] - np.arange(BINS, dtype=np.float32))
    wanted = np.zeros((len(keys), BINS + 1), np.float32)
    wanted[:, :BINS] = np.maximum(1 - np.nan_to_num(apart, nan=BINS) / SPREAD, 0)
    wanted[:, BINS] = wanted.sum(axis=1) == 0
    return wanted / wanted.sum(axis=1, keepdims=True)


def export(network: Network, path: Path) -> None:
    names = {INPUT: {2: "tenths"}, "likelihoods": {1: "tenths"}}
    torch.onnx.export(
        Likelihoods(network).eval(),
        (torch.zeros(1, 2, LENGTH, PITCHES),),
        str(path),
        input_names=[INPUT],
        output_names=["likelihoods"],
        dynamic_axes=names,
        dynamo=False,
    )


def right_share(model: Path, songs: list[Example]) -> float:
    """How often the likeliest pitch is the melody's where there is one."""
    right, all_of_them = 0, 0
    for song in songs:
        spectra = np.asarray(song.spectra / np.float32(RESOLUTION), np.float32)
        found = likelihoods_of(model, spectra)
        keys = LOWEST_KEY + found[:, :BINS].argmax(axis=1) / STEPS
        sings = ~np.isnan(song.keys)
        right += int((np.abs(keys - song.keys)[sings] <= TOLERANCE).sum())
        all_of_them += int(sings.sum())
    return right / all_of_them


if __name__ == "__main__":
    main()
