"""Models, their versions and Model Garden's publisher models, as Google's API has them."""
