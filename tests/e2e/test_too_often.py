"""Whoever asks too often reads how long to wait, on a page and in a part of one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.audio_files import tone, write_audio
from tests.service import Service, running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running(tmp_path_factory.mktemp("often") / "data", SEARCHES_PER_MINUTE="1") as service:
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
