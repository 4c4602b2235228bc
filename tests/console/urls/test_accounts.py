import subprocess
import sys

from django.urls import reverse

# As `manage.py up` does it.
PROGRAM = """
import sys, django
from django.urls import reverse
django.setup()
import console.management.commands.up
print(reverse("sign-in-link", "console.urls.accounts", args=["token"]), "console.urls.pages" in sys.modules)
"""


def test_a_sign_in_link_is_that_of_the_pages_and_none_of_them_is_imported_for_it() -> None:
    told = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True).stdout.split()
    assert told == [reverse("sign-in-link", args=["token"]), "False"]
