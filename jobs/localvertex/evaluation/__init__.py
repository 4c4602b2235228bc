"""The metrics of Google's evaluation service that are computed: nothing here asks a model."""
