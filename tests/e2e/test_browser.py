"""What people do: add, search with a file and the microphone, play, look for more, delete."""

import re
from base64 import b32decode
from pathlib import Path

import numpy as np
import pytest
import soundfile
from django_otp.oath import totp
from playwright.sync_api import Page, Response, expect

from audiosearch.engine.analyzers.landmarks.spectrum import SAMPLE_RATE
from audiosearch.engine.voice.speech import RATE
from tests.audio_files import ALAC, IMA_ADPCM, noise, tone, write_audio
from tests.e2e.conftest import CHROMIUM, FLAGS
from tests.landmark_sounds import made_song
from tests.proxy import proxy_to
from tests.service import Service
from tests.voices import speak

pytestmark = pytest.mark.slow


def test_add_and_see_it_become_ready(page: Page, service: Service, sounds: Path) -> None:
    files = [write_audio(sounds / f"{hz}.flac", tone(3, hz)) for hz in (300, 320, 3000)]
    files.append(write_audio(sounds / "noise.mp3", noise(12)))
    broken = sounds / "broken.wav"
    broken.write_bytes(b"nonsense")
    page.goto(service.url + "/add/")
    page.fill("#id_tags", "mine")
    page.set_input_files("#id_files", [*files, broken])
    expect(page.locator(".summary")).to_have_text("4 added, 1 refused")
    expect(page.locator(".uploads .refused")).to_contain_text("not audio we can read")
    page.goto(service.url + "/library/")
    expect(page.locator(".state.ready")).to_have_count(4, timeout=30_000)
    assert page.locator(".tag", has_text="mine").count() == 4


def test_search_with_a_file_and_play_the_moment(page: Page, service: Service, sounds: Path) -> None:
    page.goto(service.url)
    page.set_input_files("#id_clip", sounds / "3000.flac")
    expect(page.locator("canvas.stretch")).to_be_visible()
    page.click("#search-form button.primary")
    hits = page.locator(".hit")
    expect(hits.first).to_contain_text("3000")
    expect(hits.first).to_contain_text("100 %")
    assert "/searches/" in page.url
    expect(page.locator("#answer-same_voice")).to_contain_text("Nobody is enrolled here.")
    told = "Who speaks: nothing found. Nobody is enrolled here|Sounds alike: 3000"
    expect(page.locator("#answers-told")).to_have_text(re.compile(told))  # whichever came last
    hits.nth(0).locator(".playing-button").click()
    expect(page.locator("audio-player.sounding")).to_have_count(1)
    hits.nth(1).locator(".playing-button").click()
    expect(hits.nth(1).locator("audio-player.sounding")).to_have_count(1)
    expect(page.locator("audio-player.sounding")).to_have_count(1)
    page.reload()
    expect(page.locator(".hit").first).to_contain_text("3000")


def test_keys_walk_through_the_hits_and_play(page: Page) -> None:
    page.locator("body").press("j")
    page.keyboard.press("j")
    expect(page.locator(".hit").nth(1)).to_be_focused()
    page.keyboard.press("k")
    page.keyboard.press("Enter")
    expect(page.locator(".hit").nth(0).locator("audio-player.sounding")).to_have_count(1)


def test_more_like_this_leaves_itself_out(page: Page) -> None:
    first = page.locator(".hit .title").first.inner_text()
    page.locator(".hit").first.get_by_text("More like this").click()
    expect(page.locator("h1")).to_contain_text(f"More like {first}")
    expect(page.locator(".hit")).to_have_count(3)
    assert first not in page.locator(".hit .title").all_inner_texts()


def test_a_search_that_finds_nothing_says_which_filter_took_it(page: Page) -> None:
    page.get_by_text("Change the search").click()
    page.get_by_text("Only some recordings").click()
    page.get_by_label("Speech").check()
    page.get_by_role("button", name="Search again").click()
    expect(page.locator(".empty")).to_contain_text("kind: speech")


def test_search_with_the_microphone(page: Page, service: Service) -> None:
    page.goto(service.url)
    record = page.locator("clip-recorder button")
    record.click()
    expect(record).to_have_text("Stop")
    expect(page.locator("clip-recorder [role=status]")).to_contain_text("Recording, 1 s")
    page.wait_for_timeout(2000)
    record.click()
    expect(page.locator(".preview")).to_contain_text("recording.webm")
    page.click("#search-form button.primary")
    expect(page.locator(".hit")).to_have_count(4)
    expect(page.locator("h1")).to_contain_text("recording.webm")


def test_a_recording_that_is_known_stops_by_itself(
    page: Page, service: Service, sounds: Path
) -> None:
    """A song of the catalogue is played to the microphone; that it is sure sends the form."""
    song = sounds / "Song of the catalogue.wav"
    soundfile.write(song, made_song(5, seconds=20), SAMPLE_RATE)
    status, track = service.call("POST", "/api/v1/tracks/", {}, song)
    assert status == 201, track
    address = f"/api/v1/tracks/{track['id']}/"
    service.wait_for(lambda: service.call("GET", address)[1]["state"] == "ready")
    assert page.context.browser is not None
    hearing = [*FLAGS, f"--use-file-for-fake-audio-capture={song}"]
    browser = page.context.browser.browser_type.launch(executable_path=CHROMIUM, args=hearing)
    listener = browser.new_context(storage_state=page.context.storage_state()).new_page()
    listener.goto(service.url)
    listener.locator("clip-recorder button").click()
    listener.wait_for_url("**/searches/**", timeout=60_000)
    told = listener.locator("#answer-same_recording h2")
    expect(told).to_contain_text("This is Song of the catalogue")
    browser.close()
    _scan_a_long_recording(page, service, song.with_name("mix.flac"))
    assert service.call("DELETE", address)[0] == 204


def _scan_a_long_recording(page: Page, service: Service, mix: Path) -> None:
    """With the song in it; what cannot be read is refused on the same page."""
    unknown = made_song(77, seconds=6)
    soundfile.write(mix, np.concatenate([unknown, made_song(5, seconds=20)]), SAMPLE_RATE)
    page.goto(service.url + "/scans/")
    page.set_input_files("#id_file", mix.with_name("broken.wav"))
    page.click("scan-upload button.primary")
    expect(page.locator("scan-upload .error")).to_contain_text("not audio we can read")
    page.set_input_files("#id_file", mix)
    page.click("scan-upload button.primary")
    expect(page.locator(".timeline .play")).to_have_count(1, timeout=60_000)
    page.locator(".timeline a").click()
    page.wait_for_url("**/tracks/*/?from_ms=*")
    expect(page.locator("audio-player").first).to_have_attribute(
        "data-start-ms", re.compile(r"\d+")
    )


def test_a_recording_is_edited_and_deleted(page: Page, service: Service) -> None:
    page.goto(service.url + "/library/?q=noise")
    page.locator(".tracks .title").first.click()
    page.fill("#id_title", "White noise")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("h1")).to_have_text("White noise")
    expect(page.locator(".hit")).to_have_count(3)
    page.get_by_text("Delete …").click()
    expect(page.locator("main")).to_contain_text("cannot be undone")
    page.get_by_role("button", name="Delete 1 recording").click()
    expect(page.locator(".message")).to_contain_text("deleted")
    expect(page.locator(".tracks .title")).to_have_count(3)
    assert "agree" in service.manage("check_index").stdout


def test_a_voice_is_enrolled_known_compared_and_erased(
    page: Page, service: Service, sounds: Path
) -> None:
    clips = []
    for words in range(2):
        pause = np.random.default_rng(words).normal(0, 1e-4, RATE)
        clips.append(sounds / f"ada-{words}.wav")
        soundfile.write(clips[-1], np.concatenate([pause, speak(4, 6, words), pause]), RATE)
    page.goto(service.url + "/voices/")
    page.get_by_role("link", name="Add a speaker").click()
    page.get_by_label("Name", exact=True).fill("Ada")
    page.get_by_label("Consent by").fill("Ada")
    page.get_by_label("Consent on").fill("2026-01-01")
    page.get_by_role("button", name="Add", exact=True).click()
    page.set_input_files("#enrol_clip", clips[0])
    expect(page.locator("drop-zone canvas")).to_be_visible()
    page.get_by_role("button", name="Enrol", exact=True).click()
    expect(page.locator(".message")).to_contain_text("Enrolled by", timeout=60_000)
    page.goto(service.url + "/voices/")
    page.set_input_files("#identify_clip", clips[1])
    page.get_by_role("button", name="Identify", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text("This is Ada")
    expect(page.locator("form.slow button.primary").first).to_be_enabled()
    page.set_input_files("#compare_clip", clips[0])
    page.set_input_files("#compare_other", clips[1])
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.locator("#answer h3")).to_have_text("The same voice")
    assert page.locator(".preview audio").count() == 3
    page.get_by_role("link", name="Ada").click()
    page.get_by_text("Erase …").click()
    page.get_by_role("button", name="Erase", exact=True).click()
    expect(page.locator(".message")).to_contain_text("erased")
    assert "agree" in service.manage("check_index").stdout


def test_what_browsers_cannot_play_is_heard(page: Page, service: Service, sounds: Path) -> None:
    """AIFF, ALAC and ADPCM: a track, a query clip, and a place in the middle."""
    files = [
        write_audio(sounds / "plain.aiff", tone(20, 500)),
        write_audio(sounds / "apple.m4a", tone(20, 510), encoding=ALAC),
        write_audio(sounds / "tiny.wav", tone(20, 520), encoding=IMA_ADPCM),
    ]
    for path in files:
        track = service.call("POST", "/api/v1/tracks/", file=path)[1]["id"]
        page.goto(f"{service.url}/tracks/{track}/")
        _hear(page)
        page.evaluate("document.querySelector('audio-player audio').currentTime = 15")
        _hear(page, after=15)
    page.goto(service.url)
    page.set_input_files("#id_clip", files[0])
    page.click("#search-form button.primary")
    page.wait_for_url("**/searches/**")
    _hear(page)


def test_what_this_browser_cannot_play_is_asked_for_as_flac(
    page: Page, service: Service, sounds: Path
) -> None:
    path = write_audio(sounds / "strange.opus", tone(20, 530))
    track = service.call("POST", "/api/v1/tracks/", file=path)[1]["id"]
    page.route(f"**/tracks/{track}/audio", lambda route: route.fulfill(body=b"nothing it knows"))
    page.goto(f"{service.url}/tracks/{track}/")
    _hear(page)


def _hear(page: Page, after: float = 0) -> None:
    """The first player of the page gets on."""
    player = page.locator("audio-player").first
    if "sounding" not in (player.get_attribute("class") or ""):
        player.locator(".playing-button").click()
    page.wait_for_function(
        "(after) => document.querySelector('audio-player audio').currentTime > after + 0.1",
        arg=after,
    )


def test_pages_fit_a_phone(page: Page, service: Service) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    paths = ["/", "/library/", "/add/", "/voices/", "/scans/", "/duplicates/", "/tracks/1/"]
    for path in [*paths, "/tracks/1/similar/"]:
        page.goto(service.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_the_reference_of_the_api_needs_nothing_inline(page: Page, service: Service) -> None:
    page.set_viewport_size({"width": 1280, "height": 900})
    page.goto(service.url + "/api/docs/")
    expect(page.locator(".opblock").first).to_be_visible()
    page.locator(".opblock-summary-control", has_text="Search by a clip or by a track").click()
    expect(page.locator(".opblock.is-open")).to_contain_text("application/json")


def test_a_collection_is_made_private(page: Page, service: Service) -> None:
    page.goto(service.url + "/admin/auth/group/add/")
    page.fill("#id_name", "Field team")
    page.get_by_role("button", name="Save", exact=True).click()
    page.goto(service.url + "/admin/catalog/collection/add/")
    page.fill("#id_name", "Unreleased")
    page.select_option("#id_audience", label="Field team")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator("#result_list")).to_contain_text("Field team")
    page.goto(service.url + "/library/")
    count = page.locator(".tracks .title").count()
    page.locator("input[name=track]").first.check()
    page.select_option("#bulk #id_action", "move")
    page.select_option("#bulk #id_collection", label="Unreleased (private to Field team)")
    page.get_by_role("button", name="Do it").click()
    expect(page.locator(".tracks")).to_contain_text("private to Field team")
    guest = "User.objects.create_user('guest', password='a long one 42')"
    made = service.manage("shell", "-c", f"from django.contrib.auth.models import User; {guest}")
    assert made.returncode == 0, made.stderr
    assert page.context.browser is not None
    other = page.context.browser.new_page()
    other.goto(service.url + "/library/")
    other.fill("#id_username", "guest")
    other.fill("#id_password", "a long one 42")
    other.click("button.primary")
    expect(other.locator(".tracks .title")).to_have_count(count - 1)
    expect(other.locator("body")).not_to_contain_text("Unreleased")
    other.close()


def test_nothing_leaves_a_sub_path(page: Page, service: Service, sounds: Path) -> None:
    assert page.context.browser is not None
    context = page.context.browser.new_context()
    with proxy_to(service.url, "/sounds") as url:
        strayed: list[str] = []

        def look(answer: Response) -> None:
            stays = answer.url.startswith((f"{url}/", "blob:", "data:"))
            if not stays or answer.status >= 400:
                strayed.append(f"{answer.status} {answer.url}")

        context.on("response", look)
        other = context.new_page()
        other.set_default_timeout(15_000)
        other.goto(f"{url}/library/")
        other.fill("#id_username", service.credentials["username"])
        other.fill("#id_password", service.credentials["password"])
        other.click("button.primary")
        other.wait_for_url(f"{url}/library/")
        assert {cookie["path"] for cookie in context.cookies()} == {"/sounds"}
        other.get_by_role("link", name="Add", exact=True).click()
        other.set_input_files("#id_files", write_audio(sounds / "below.flac", tone(2, 700)))
        other.get_by_role("link", name="added").click()
        expect(other.locator(".state.ready")).to_be_visible(timeout=30_000)
        other.get_by_role("link", name="Search", exact=True).click()
        other.set_input_files("#id_clip", sounds / "below.flac")
        other.click("#search-form button.primary")
        hit = other.locator(".hit").first
        expect(hit).to_contain_text("below")
        hit.locator(".playing-button").click()
        expect(hit.locator("audio-player.sounding")).to_have_count(1)
        hit.get_by_text("More like this").click()
        expect(other.locator("h1")).to_contain_text("More like below")
        for path in ("", "voices/", "voices/speakers/add/", "account/", "admin/analysis/space/"):
            other.goto(f"{url}/{path}")
        other.goto(f"{url}/admin/catalog/track/")
        other.locator("#result_list th a").first.click()
        other.get_by_role("link", name="Search", exact=True).first.click()
        other.goto(f"{url}/api/docs/")
        expect(other.locator(".opblock").first).to_be_visible()
        expect(other.locator(".servers option")).to_have_text("/sounds")
        listed = other.request.get(f"{url}/api/v1/tracks/?page_size=1").json()
        assert other.request.get(listed["next"]).json()["previous"].startswith(f"{url}/api/")
        assert other.request.get(url.removesuffix("/sounds") + listed["results"][0]["audio"]).ok
        other.goto(f"{url}/account/")
        other.get_by_role("button", name="Log out", exact=True).click()
        other.wait_for_url(f"{url}/login/")
        context.close()
        assert strayed == []


def test_the_account_by_keyboard(page: Page, service: Service) -> None:
    page.goto(service.url + "/")
    page.get_by_role("link", name="Your account").press("Enter")
    page.get_by_label("Name", exact=True).fill("script")
    page.get_by_label("Add, change and delete").press("Space")
    page.get_by_role("button", name="Make the token").press("Enter")
    expect(page.get_by_label("Token “script”")).to_be_focused()
    page.get_by_role("link", name="I have copied it").press("Enter")
    expect(page.get_by_role("row", name="script")).to_contain_text("read, write")
    page.get_by_role("link", name="Revoke script").press("Enter")
    page.get_by_role("button", name="Revoke it").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("is revoked")
    expect(page.get_by_role("row", name="script")).to_have_count(0)
    page.get_by_role("link", name="Set it up").press("Enter")
    page.get_by_role("button", name="Begin").press("Enter")
    expect(page.get_by_role("img", name="QR code")).to_be_visible()
    key = b32decode(page.locator("code.secret").inner_text().replace(" ", ""))
    page.get_by_label("Code").fill(f"{totp(key):06d}")
    page.keyboard.press("Enter")
    expect(page.locator(".codes li")).to_have_count(10)
    recovery = page.locator(".codes code").first.inner_text()
    for width in (360, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        page.goto(service.url + "/account/")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("button", name="Log out", exact=True).press("Enter")
    page.fill("#id_username", service.credentials["username"])
    page.fill("#id_password", service.credentials["password"])
    page.keyboard.press("Enter")
    expect(page.get_by_label("Code")).to_be_focused()
    page.get_by_label("Code").fill(recovery)
    page.keyboard.press("Enter")
    page.wait_for_url(service.url + "/")
    expect(page.get_by_role("link", name="Your account")).to_be_visible()


def test_one_of_two_copies_is_kept_and_it_is_undone(
    page: Page, service: Service, sounds: Path
) -> None:
    song = made_song(8, seconds=24)
    copy = write_audio(sounds / "copy.mp3", song[2 * SAMPLE_RATE :] / 2, SAMPLE_RATE)
    page.goto(service.url + "/add/")
    page.set_input_files("#id_files", [write_audio(sounds / "kept.flac", song, SAMPLE_RATE), copy])
    expect(page.locator(".summary")).to_have_text("2 added")
    cluster = page.locator(".cluster", has_text="kept")
    service.wait_for(lambda: page.goto(service.url + "/duplicates/") and cluster.count())
    expect(cluster).to_contain_text("Best copy: kept, FLAC (the longest)")
    first, second = cluster.locator("audio-player").all()
    first.locator("canvas").press("PageDown")
    first.locator(".playing-button").click()
    expect(first.locator(".time")).to_contain_text("0:11")
    second.locator(".playing-button").press("Enter")
    expect(second).to_have_class("sounding")
    assert second.evaluate("player => player.audio.currentTime") > 7  # where the first one was
    page.get_by_role("button", name="Keep one and move").first.press("Enter")
    page.get_by_role("button", name="Keep one, take out 1").press("Enter")
    expect(page.locator(".messages")).to_contain_text("“kept” is kept")
    expect(cluster).to_have_count(0)
    page.get_by_role("button", name=re.compile("Undo.*copy")).press("Enter")
    expect(cluster).to_have_count(1)
