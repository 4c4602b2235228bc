"""`generateContent` of models that speak chat completions: what is asked and answered, in Google's words."""
