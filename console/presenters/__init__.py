"""What pages say: figures, words and rows, made of what services answer."""
