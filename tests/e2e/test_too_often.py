"""Whoever asks too often reads how long to wait; whoever adds too much, that there is no room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.audio_files import tone, write_audio
from tests.service import Service, running

pytestmark = pytest.mark.exhaustive  # a service with limits of its own


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    limits = {"SEARCHES_PER_MINUTE": "1", "MAX_TRACKS": "2"}
    with running(tmp_path_factory.mktemp("often") / "data", **limits) as service:
        yield service


def test_too_often(page: Page, service: Service, sounds: Path) -> None:
    clip = write_audio(sounds / "often.wav", tone(2))
    page.goto(service.url + "/voices/")
    page.set_input_files("#identify_clip", clip)
    button = page.locator("form[action$='identify/'] button.primary")
    button.click()
    answer = page.locator("#answer [role=alert]")
    expect(answer).to_be_visible()
    expect(answer).not_to_contain_text("as often as one may")
    button.click()
    expect(answer).to_contain_text("as often as one may")
    expect(button).to_be_enabled()
    page.goto(service.url)
    page.set_input_files("input[type=file][name=clip]", clip)
    page.locator("form.slow button.primary").click()
    expect(page.locator("h1")).to_have_text("Too many searches")
    expect(page.locator("main [role=alert]")).to_contain_text("Wait")


def test_too_much(page: Page, service: Service, sounds: Path) -> None:
    page.goto(service.url + "/add/")
    expect(page.locator(".quota")).to_have_text("The catalogue holds 0 of 2 recordings.")
    files = [write_audio(sounds / f"much-{hz}.wav", tone(2, hz)) for hz in (300, 310, 320, 330)]
    page.set_input_files("#id_files", files)
    expect(page.locator(".summary")).to_have_text("2 added, 2 not sent")
    expect(page.locator(".stopped")).to_contain_text("holds 2 of 2 recordings, so there is no room")
    expect(page.locator(".quota")).to_have_text("The catalogue holds 2 of 2 recordings.")
    expect(page.locator(".uploads .not-sent")).to_have_count(2)
    page.reload()
    expect(page.locator("#id_files")).to_be_disabled()
    expect(page.locator("main p.error").first).to_contain_text("so there is no room")
