"""Where the links of answers lead: nobody chose them, so the page shows the whole address and asks."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.presenters.chat.leave import destination
from console.web.http import HtmxRequest


@login_not_required
@require_safe
def ask(request: HtmxRequest) -> HttpResponse:
    found = destination(request.GET.get("to", ""))
    return render(request, "leave.html", {"to": found}, status=200 if found else 400)
