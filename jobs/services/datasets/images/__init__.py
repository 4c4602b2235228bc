"""Images in the rows of datasets: how a row names them, where they are kept, and how they get into the bucket."""
