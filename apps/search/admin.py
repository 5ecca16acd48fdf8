"""The admin console of the search: what was searched, to look at and to forget."""

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.catalog.admin_forms import CuratedAdmin
from apps.search.models import Search
from apps.search.recent import delete_search


@admin.register(Search)
class SearchAdmin(CuratedAdmin):
    list_display = ["clip_name", "user", "created_at"]
    list_filter = ["created_at"]
    search_fields = ["clip_name", "user__username"]
    list_select_related = ["user"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def delete_model(self, request: HttpRequest, obj: Search) -> None:
        delete_search(obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Search]) -> None:
        for search in queryset:
            delete_search(search)
