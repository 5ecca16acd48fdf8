"""Addresses of logging in and of one's own account."""

from django.urls import path
from django.views.generic import RedirectView

from apps.access import views
from apps.access.entering import LogIn, LogInCode, LogOut

urlpatterns = [
    path("login/", LogIn.as_view(), name="login"),
    path("login/code/", LogInCode.as_view(), name="login-code"),
    path("logout/", LogOut.as_view(), name="logout"),
    path("account/", views.account, name="account"),
    path("account/password/", views.change_password, name="account-password"),
    path("account/tokens/", views.add_token, name="account-token-add"),
    path("account/tokens/<int:pk>/revoke/", views.revoke_token, name="account-token-revoke"),
    path("account/sessions/<uuid:number>/end/", views.end_session, name="account-session-end"),
    path("account/sessions/end-others/", views.end_others, name="account-sessions-end"),
    path("account/two-step/", views.set_up_two_step, name="account-two-step"),
    path("account/two-step/codes/", views.new_codes, name="account-codes"),
    path("account/two-step/off/", views.turn_off_two_step, name="account-two-step-off"),
    # The console has none of these of its own.
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/logout/", LogOut.as_view()),
    path("admin/password_change/", RedirectView.as_view(pattern_name="account-password")),
]
