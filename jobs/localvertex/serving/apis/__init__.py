"""Other ways of asking a model than the chat: OpenAI's completions, `generateContent`, and the counting of tokens."""
