"""manage.py duplicates: find which tracks are one recording, and tell."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from apps.catalog.templatetags.sound import clock
from apps.discovery.clusters import cluster_ids, clusters_of
from apps.discovery.finding import pending, search_pending
from apps.discovery.models import DuplicatePair
from apps.discovery.serializers import pair_json
from apps.jobs.pieces import in_pieces
from audiosearch.engine.errors import Conflict, IndexUnavailable, SpaceMissing


class Command(BaseCommand):
    help = (
        "Find duplicates of the tracks that are not looked for yet, and list all clusters. What "
        "broke off goes on where it was. Nothing is merged or deleted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--again", action="store_true", help="look for all tracks anew")
        parser.add_argument("--json", action="store_true", help="a line of JSON for each pair")

    def handle(self, *args: Any, **options: Any) -> None:
        again = options["again"]
        try:
            with tqdm(total=pending(again=again).count(), unit="track", disable=None) as bar:
                search_pending(again=again, told=bar.update)
        except Conflict as error:
            if again:
                raise CommandError(str(error)) from error
            self.stderr.write(f"{error} What is known so far:")
        except (IndexUnavailable, SpaceMissing) as error:
            raise CommandError(str(error)) from error
        groups = cluster_ids(None)
        for piece in in_pieces(groups, 100):
            for cluster in clusters_of(None, piece):
                titles = {track.pk: track.title for track in cluster.tracks}
                if not options["json"]:
                    self.stdout.write(f"{cluster.best.track.title}: {len(titles)} tracks")
                for pair in cluster.pairs:
                    self.stdout.write(
                        json.dumps(pair_json(pair)) if options["json"] else _text(pair, titles)
                    )
        if not options["json"]:
            self.stdout.write(f"{len(groups)} clusters of duplicates.")


def _text(pair: DuplicatePair, titles: dict[int, str]) -> str:
    return (
        f"  {titles[pair.first_id]} (track {pair.first_id}, {clock(pair.first_start_ms)} to "
        f"{clock(pair.first_end_ms)}) is {titles[pair.second_id]} (track {pair.second_id}, "
        f"{clock(pair.second_start_ms)} to {clock(pair.second_end_ms)}); {pair.share:.0%} of "
        f"{pair.of} landmarks agree, at {pair.speed:.1%} of its speed"
    )
