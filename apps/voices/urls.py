"""Addresses of the voices' pages."""

from django.urls import path

from apps.voices import views

urlpatterns = [
    path("voices/", views.voices, name="voices"),
    path("voices/identify/", views.identify_clip, name="voices-identify"),
    path("voices/compare/", views.compare_clips, name="voices-compare"),
    path("voices/thresholds/", views.thresholds, name="voices-thresholds"),
    path("voices/thresholds/measure/", views.measure, name="voices-measure"),
    path("voices/measurements/<int:pk>/", views.measurement, name="measurement"),
    path("voices/measurements/<int:pk>/apply/", views.apply, name="measurement-apply"),
    path("voices/measurements/<int:pk>/<slug:name>.svg", views.plot, name="measurement-plot"),
    path("voices/tracks/<int:pk>/", views.track_voices, name="track-voices"),
    path("voices/speakers/add/", views.add_speaker, name="speaker-add"),
    path("voices/speakers/<int:pk>/", views.speaker, name="speaker"),
    path("voices/speakers/<int:pk>/enrol/", views.enrol_recording, name="speaker-enrol"),
    path("voices/speakers/<int:pk>/erase/", views.erase, name="speaker-erase"),
    path(
        "voices/speakers/<int:pk>/enrolments/<int:enrolment>/remove/",
        views.remove_enrolment,
        name="enrolment-remove",
    ),
]
