"""Addresses below /api/."""

from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView
from rest_framework.routers import SimpleRouter

from apps.analysis import api as analysis
from apps.catalog import api as catalog
from apps.discovery import api as discovery
from apps.monitoring import api as monitoring
from apps.ops import api as ops
from apps.search import api as search
from apps.voices import api as voices
from audiosearch.web.errors import not_found

router = SimpleRouter()
router.register("collections", catalog.CollectionViewSet)
router.register("tags", catalog.TagViewSet)
router.register("speakers", voices.SpeakerViewSet)
router.register("spaces", analysis.SpaceViewSet)
router.register("duplicates", discovery.DuplicateViewSet, basename="duplicate")
router.register("scans", monitoring.ScanViewSet, basename="scan")
router.register("tracks", catalog.TrackViewSet, basename="track")

track_audio = catalog.TrackViewSet.as_view({"get": "audio"})
track_peaks = catalog.TrackViewSet.as_view({"get": "peaks"})

docs = SpectacularSwaggerSplitView.as_view(  # without a script or style of the page's own
    url_name="api-schema", template_name="api_docs.html"
)

urlpatterns = [
    path("v1/tracks/<int:pk>/audio", track_audio, name="api-track-audio"),
    path("v1/tracks/<int:pk>/peaks", track_peaks, name="api-track-peaks"),
    path("v1/tracks/<int:pk>/similar", search.SimilarView.as_view(), name="api-track-similar"),
    path("v1/quota/", catalog.QuotaView.as_view(), name="api-quota"),
    path("v1/search/", search.SearchView.as_view(), name="api-search"),
    path("v1/live/", ops.LiveView.as_view(), name="api-live"),
    path("v1/ready/", ops.ReadyView.as_view(), name="api-ready"),
    path("v1/", include(router.urls)),
    path("schema/", SpectacularAPIView.as_view(), name="api-schema"),
    path("docs/", docs, name="api-docs"),
    re_path("", not_found),  # all else; a pattern's dot would leave out line ends
]
